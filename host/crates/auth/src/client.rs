//! Applicant asks, as far as that can be known before a login.

/// `place_in_words` is where a login was made, for people. `place` is empty, `loopback` or `tunnel NAME`.
pub fn place_in_words(place: &str) -> String {
    match place {
        "" => "unknown".to_owned(),
        "loopback" => "this machine".to_owned(),
        place => place.to_owned(),
    }
}

/// `Client` is the browser or program that a request comes from, as the web layer found it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// `origin` is the address the page was loaded from: `https://…`, `http://127.0.0.1:7860`.
    pub origin: String,
    /// `browser` is the value of the cookie that this browser got before its login: what a login step is bound to.
    pub browser: String,
    /// `device` is the value of the known-device cookie, not checked yet.
    pub device: Option<String>,
    /// `peer` is the client's address, cleared of what a client can forge: for the audit log and the list of logins.
    pub peer: String,
    /// `agent` is what the browser calls itself, at most 200 characters.
    pub agent: String,
    /// `place` is where the client came in: the login that it makes is good there alone.
    pub place: String,
    /// `holder` says whose program the client is: the login is good for those alone. It is empty where that is not
    /// known.
    pub holder: String,
}
