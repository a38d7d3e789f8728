//! How a request came in, for a login plugin that reads who it is from the request itself.
//!
//! Problem: a header that a reverse proxy sets can be sent by whoever reaches the listener.
//!
//! Mechanism: the plugin is told the listener and who holds the other end of the connection, both facts of the socket. At the
//! page's own listener, what this Nexus has started is turned away, under whatever name it comes: the agent could send
//! any header there.
//!
//! Limits: at a tunnel's listener the other end is always what Nexus has started, the tunnel's own program as well as any
//! other. There only the route is told, and a plugin that trusts an unsigned header there trusts this machine.

use super::identity::refused_agent;
use super::listener::Place;
use crate::{Connection, SiteContext, WebState};
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use nexus_auth::Arrival;
use nexus_plugin_traits::auth::Route;

/// `Arrived` is how the request came in, as far as it costs nothing to know.
pub(crate) struct Arrived {
    connection: Connection,
    place: Place,
    method: Method,
    headers: HeaderMap,
}

impl Arrived {
    /// Tells whether somebody opened a page of ours by themselves: no page of another site led here, or has it as a picture.
    /// Without a login that would be one more login each time, since a cookie of ours does not come with such a request.
    pub(crate) fn is_opened(&self) -> bool {
        let one_of = |name: &str, values: &[&str]| {
            let mut stated = self.headers.get_all(name).iter();
            stated.all(|stated| values.iter().any(|value| stated == value))
        };
        self.method == Method::GET
            && one_of("sec-fetch-site", &["same-origin", "none"])
            && one_of("sec-fetch-dest", &["document"])
    }

    /// `arrival` is all of it. Who holds the other end takes milliseconds to find.
    ///
    /// # Errors
    /// The answer to a program of this Nexus.
    pub(crate) async fn arrival(self) -> Result<Arrival, Response> {
        let holder = self.connection.holder().await;
        let route = match self.place {
            Place::Tunnel(name) => Route::Tunnel(name),
            Place::Loopback => Route::Loopback,
            Place::Host(name) => Route::Name(name),
        };
        if !matches!(route, Route::Tunnel(_))
            && let Some(cause) = &holder.ours
        {
            return Err(refused_agent(cause));
        }
        let headers = self.headers;
        let header = move |name: &str| {
            let values = headers.get_all(name).iter();
            let texts = values.filter_map(|value| value.to_str().ok().map(str::to_owned));
            texts.collect()
        };
        Ok(Arrival {
            route,
            peer: self.connection.peer.ip().to_canonical().to_string(),
            peer_user: holder.user,
            header: Box::new(header),
        })
    }
}

impl FromRequestParts<WebState> for Arrived {
    type Rejection = StatusCode;
    async fn from_request_parts(parts: &mut Parts, _: &WebState) -> Result<Self, StatusCode> {
        let site = parts.extensions.get::<SiteContext>();
        let connection = parts.extensions.get::<Connection>();
        Ok(Self {
            connection: connection.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?.clone(),
            place: site.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?.place.clone(),
            method: parts.method.clone(),
            headers: parts.headers.clone(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Ingress;
    use nexus_process::connection_owner::Holder;

    #[tokio::test]
    async fn what_this_nexus_started_shows_no_header_at_the_pages_own_listener() {
        let arrived = async |place: Place, ours: Option<&str>| {
            let ingress = Ingress::Local {
                hosts: Vec::new(),
                public_url: None,
            };
            let holder = Holder {
                user: Some(1000),
                ours: ours.map(str::to_owned),
            };
            let mut headers = HeaderMap::new();
            headers.append("x-user", "a".parse().unwrap());
            headers.append("x-user", "b".parse().unwrap());
            let arrived = Arrived {
                connection: Connection::new(ingress, "127.0.0.1:50000".parse().unwrap()).at_other_end(holder),
                place,
                method: Method::GET,
                headers,
            };
            arrived.arrival().await
        };
        let (name, tunnel) = (Place::Host("chat.example".to_owned()), Place::Tunnel("main".to_owned()));
        for place in [name.clone(), Place::Loopback] {
            let refused = arrived(place, Some("the agent")).await.err().unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
        let proxied = arrived(name, None).await.ok().unwrap();
        assert_eq!(proxied.route, Route::Name("chat.example".to_owned()));
        assert_eq!((proxied.peer.as_str(), proxied.peer_user), ("127.0.0.1", Some(1000)));
        assert_eq!((proxied.header)("x-user"), ["a", "b"]);
        let through = arrived(tunnel, Some("the tunnel's program")).await.ok().unwrap();
        assert_eq!(through.route, Route::Tunnel("main".to_owned()));
    }

    #[test]
    fn only_a_page_that_somebody_opened_is_one() {
        let opened = |method: Method, stated: &[(&'static str, &str)]| {
            let ingress = Ingress::Local {
                hosts: Vec::new(),
                public_url: None,
            };
            let mut headers = HeaderMap::new();
            for (name, value) in stated {
                headers.append(*name, value.parse().unwrap());
            }
            let arrived = Arrived {
                connection: Connection::new(ingress, "127.0.0.1:50000".parse().unwrap()),
                place: Place::Loopback,
                method,
                headers,
            };
            arrived.is_opened()
        };
        let (site, dest) = ("sec-fetch-site", "sec-fetch-dest");
        assert!(opened(Method::GET, &[]), "a program says nothing");
        for from in ["none", "same-origin"] {
            assert!(opened(Method::GET, &[(site, from), (dest, "document")]));
        }
        for from in ["cross-site", "same-site", ""] {
            assert!(!opened(Method::GET, &[(site, from), (dest, "document")]), "{from}");
        }
        assert!(!opened(Method::GET, &[(site, "same-origin"), (site, "cross-site")]));
        for what in ["image", "iframe", "empty"] {
            assert!(!opened(Method::GET, &[(site, "same-origin"), (dest, what)]), "{what}");
        }
        assert!(!opened(Method::HEAD, &[]));
    }
}
