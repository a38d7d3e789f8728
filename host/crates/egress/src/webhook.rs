//! A message to the operator's own address, as JSON. The address may hold a token: no error names more than its host.

use crate::failure_cause::chain;
use crate::tls::install_provider;
use nexus_config::resolved::Secret;
use nexus_model::limits;
use reqwest::{Client, Url};

/// `Webhook` posts to one address.
pub struct Webhook {
    url: Url,
    /// `hooks.example.org`
    pub host: String,
    client: tokio::sync::OnceCell<Client>,
}

impl Webhook {
    /// `new` takes an address that the configuration has checked.
    ///
    /// # Errors
    /// It is none all the same.
    pub fn new(address: &Secret) -> Result<Self, String> {
        let none = || "the webhook's address is not a URL".to_owned();
        let url = Url::parse(address.reveal()).map_err(|_| none())?;
        let host = url.host_str().ok_or_else(none)?.to_owned();
        Ok(Self {
            url,
            host,
            client: tokio::sync::OnceCell::new(),
        })
    }

    /// `post` makes one try. Not through a proxy of the environment, and not on to where an answer points: the message is for this
    /// address alone.
    ///
    /// # Errors
    /// A sentence without the address.
    pub async fn post(&self, json: Vec<u8>) -> Result<(), String> {
        // Made at the first message: reading the machine's certificates takes its time.
        let made = self
            .client
            .get_or_try_init(|| async { tokio::task::spawn_blocking(client).await.map_err(|e| e.to_string())? });
        let sent = made
            .await?
            .post(self.url.clone())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(json)
            .send()
            .await
            .map_err(|e| {
                if e.is_timeout() {
                    "no answer in time".to_owned()
                } else {
                    chain(&e)
                }
            })?;
        let status = sent.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("it answered {status}"))
    }
}

fn client() -> Result<Client, String> {
    install_provider();
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("nexus/", env!("CARGO_PKG_VERSION")))
        .timeout(limits::NOTIFY_TRY)
        .build()
        .map_err(|e| format!("cannot start the HTTP client: {}", chain(&e)))
}
