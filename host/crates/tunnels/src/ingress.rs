//! The way in: what the web layer is told about a tunnel's own listener.
//!
//! The service binds the listener and the web layer serves it. So "came through this tunnel" is known by the socket a
//! request arrived on, never by something the request says about itself.

use data_encoding::HEXLOWER;
use futures::future::BoxFuture;
use nexus_model::time::random_token;
use ring::hmac;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// A listener and the policy that belongs to it.
#[derive(Debug)]
pub struct IngressInfo {
    /// Bound to loopback.
    pub listener: TcpListener,
    /// `name` or `name:port`, lower case: the configured ones and, once it is known, that of the URL. It changes while
    /// the listener is open: an address comes late, and may come again with another value.
    pub hosts: watch::Receiver<Vec<String>>,
    /// Lower case. None: every request counts as coming from the tunnel itself.
    pub client_address_header: Option<String>,
    /// The browser sees TLS: cookies are `Secure`, and the origin is `https://…`.
    pub https: bool,
    /// What a probe through the public side has to be answered with.
    pub proof: Proof,
    /// This listener closes soon, because another plugin takes over.
    pub moved: watch::Receiver<Option<Leaving>>,
    /// Live sockets that are open through this listener.
    pub sockets: Arc<watch::Sender<usize>>,
}

/// Why clients have to go elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Where the tunnel leads from now on; none: the old plugin has to close before the new one can have an address.
    pub url: Option<String>,
}

/// A key of one listener of this process: only it knows the right answer to a nonce, so whoever gives that has been
/// reached. The answer is of no other use.
#[derive(Clone)]
pub struct Proof(Option<Arc<[u8; 32]>>);

impl Proof {
    /// A fresh one. Where the machine gives no randomness there is no key: nothing is asked, and nothing answered.
    pub fn random() -> Self {
        Self(nexus_model::time::random().ok().map(Arc::new))
    }

    /// A nonce that is answered: only whoever has the key can make one, so a stranger gets nothing, and holds nothing, by
    /// asking.
    ///
    /// # Errors
    /// The machine gives no randomness.
    pub fn nonce(&self) -> Result<String, getrandom::Error> {
        let random = random_token()?;
        let mark = self.of(&format!("ask {random}")).ok_or(getrandom::Error::UNEXPECTED)?;
        Ok(format!("{random}.{mark}"))
    }

    /// The answer to a nonce of ours; none to another's.
    pub fn answer(&self, nonce: &str) -> Option<String> {
        let (random, mark) = nonce.split_once('.')?;
        let mark = HEXLOWER.decode(mark.as_bytes()).ok()?;
        // The comparison takes the same time wherever the first difference is.
        hmac::verify(&self.key()?, format!("ask {random}").as_bytes(), &mark).ok()?;
        self.of(nonce)
    }

    /// In hexadecimal.
    fn of(&self, nonce: &str) -> Option<String> {
        Some(HEXLOWER.encode(hmac::sign(&self.key()?, nonce.as_bytes()).as_ref()))
    }

    fn key(&self) -> Option<hmac::Key> {
        Some(hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref()?.as_slice()))
    }
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proof(…)")
    }
}

/// Where the web layer takes over.
pub trait Ingress: Send + Sync + 'static {
    /// Serves the listener until the handle is closed or dropped. `Err`: a sentence for the operator.
    fn open<'a>(&'a self, tunnel: &'a str, ingress: IngressInfo) -> BoxFuture<'a, Result<IngressHandle, String>>;
}

/// An open way in.
pub struct IngressHandle {
    stop: Option<oneshot::Sender<()>>,
    done: BoxFuture<'static, ()>,
}

impl IngressHandle {
    /// `stop` ends the listener when it is sent or dropped; `done` completes when no request runs any more.
    pub fn new(stop: oneshot::Sender<()>, done: BoxFuture<'static, ()>) -> Self {
        Self { stop: Some(stop), done }
    }

    /// No new requests; returns when the running ones are through.
    pub async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.done.await;
    }
}

impl std::fmt::Debug for IngressHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IngressHandle")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_nothing_is_asked_and_nothing_answered() {
        let (good, none) = (Proof::random(), Proof(None));
        let nonce = good.nonce().unwrap();
        assert!(good.answer(&nonce).is_some());
        assert!(none.nonce().is_err());
        assert_eq!(none.answer(&nonce), None);
        // What a key of zeros would have proved.
        let zeros = Proof(Some(Arc::new([0; 32])));
        assert_eq!(none.answer(&zeros.nonce().unwrap()), None);
    }
}
