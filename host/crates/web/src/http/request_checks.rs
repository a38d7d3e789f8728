//! What holds for every request, before any handler: the Host check, the Origin check, and the headers that keep a
//! browser from doing more than the page needs.

use super::bearer::{ByToken, carries_token};
use super::listener::Place;
use super::refused_request;
use crate::{Connection, SiteContext, api};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// `CSP` turns inline code and foreign sources off; the page has one style sheet and one script of its own.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                   img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
                           magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// Checks Host and Origin, puts the [`SiteContext`] into the request, and sets the headers of the answer.
pub(crate) async fn guard(mut request: Request, next: Next) -> Response {
    let (mut secure_tunnel, checked) = (false, check(&request));
    let mut response = match checked {
        Ok(site) => match elsewhere(&request) {
            Some(redirect) => redirect.into_response(),
            None => {
                secure_tunnel = site.secure && matches!(site.place, Place::Tunnel(_));
                if !is_same_origin(&request, &site) {
                    request.extensions_mut().insert(ByToken);
                }
                request.extensions_mut().insert(site);
                next.run(request).await
            }
        },
        Err((status, cause)) if request.uri().path().starts_with("/api/") => api::refuse(status, &cause),
        Err(refusal) => refusal.into_response(),
    };
    harden(response.headers_mut());
    if secure_tunnel {
        // A name of the operator's own (`public_url`) is the operator's to promise this for.
        let always = HeaderValue::from_static("max-age=15552000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, always);
    }
    response
}

fn check(request: &Request) -> Result<SiteContext, (StatusCode, String)> {
    let Some(connection) = request.extensions().get::<Connection>() else {
        return Err((
            StatusCode::INTERNAL_SERVER_ERROR,
            "This request did not arrive through a listener.\n".into(),
        ));
    };
    let host = connection.host(request.headers(), request.uri());
    let Some(site) = connection.site(host) else {
        return Err((
            StatusCode::MISDIRECTED_REQUEST,
            refused_request::unknown_name(connection, host),
        ));
    };
    // No browser reaches the control socket.
    if !connection.is_operator() && !is_same_origin(request, &site) && !carries_token(request) {
        let cause = refused_request::foreign_page(connection, &site, request.headers());
        return Err((StatusCode::FORBIDDEN, cause));
    }
    Ok(site)
}

/// `elsewhere` sends on a page that is asked for where another plugin serves by now: it is at the new address, and here
/// no longer for long.
fn elsewhere(request: &Request) -> Option<Redirect> {
    let page = request.method() == Method::GET
        && !request.headers().contains_key(header::UPGRADE)
        && !["/assets/", "/api/", "/public-check/", "/healthz"]
            .iter()
            .any(|other| request.uri().path().starts_with(other));
    let url = request.extensions().get::<Connection>()?.moved_now().filter(|_| page)?;
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    Some(Redirect::temporary(&format!("{}{path}", url.trim_end_matches('/'))))
}

/// Tells whether the request is from a page of ours, or only reads, so that it does not matter.
fn is_same_origin(request: &Request, site: &SiteContext) -> bool {
    let upgrade = request.headers().contains_key(header::UPGRADE);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    (reads && !upgrade) || same_origin(request.headers(), site)
}

/// Tells whether the request is from a page of ours. Every browser in use sends `Origin` here. Without it,
/// `Sec-Fetch-SiteContext` decides; without both: no.
fn same_origin(headers: &HeaderMap, site: &SiteContext) -> bool {
    match headers.get(header::ORIGIN) {
        Some(origin) => origin.as_bytes().eq_ignore_ascii_case(site.origin.as_bytes()),
        None => headers
            .get("sec-fetch-site")
            .is_some_and(|value| value == "same-origin"),
    }
}

fn harden(headers: &mut HeaderMap) {
    const FIXED: [(HeaderName, &str); 7] = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: with it browsers send `Origin: null` with our own forms. Other sites get nothing.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
