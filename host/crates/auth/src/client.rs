//! Who asks, as far as that can be known before a login.

/// Where a login was made, for people.
pub fn place_in_words(place: &str) -> String {
    match place {
        "" => "unknown".to_owned(),
        "loopback" => "this machine".to_owned(),
        place => place.to_owned(),
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The address the page was loaded from: `https://…`, `http://127.0.0.1:7860`.
    pub origin: String,
    /// The value of the cookie that this browser got before its login: what a login step is bound to.
    pub browser: String,
    /// The value of the known-device cookie, not checked yet.
    pub device: Option<String>,
    /// The client's address, cleared of what a client can forge: for the audit log and the list of logins.
    pub peer: String,
    /// What the browser calls itself. At most 200 characters.
    pub agent: String,
    /// Where it came in: the login that it makes is good there alone.
    pub place: String,
    /// Whose program it is, empty where that is not known: the login is good for those alone.
    pub holder: String,
}
