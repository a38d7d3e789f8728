//! The tunnels, one card each: how it is, where it leads, and a plugin that replaces another.

use super::notes::NoteRow;
use super::qr_code::qr_code;
use crate::http::listener::Place;
use crate::pages::until;
use nexus_model::limits;
use nexus_model::plural;
use nexus_model::time::Millis;
use nexus_model::trouble::sentence;
use nexus_model::tunnel::{self, Encryption, Measurement, TunnelState, TunnelStatus};

pub(super) struct TunnelRow {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) plugin: String,
    pub(super) severity: &'static str,
    pub(super) state: &'static str,
    pub(super) detail: Option<String>,
    pub(super) fix: Option<String>,
    pub(super) url: Option<String>,
    /// `fresh`: the address was made just now; it is shown, and not to be opened yet.
    pub(super) fresh: bool,
    /// `cuts`: a swap cuts off whoever came through it.
    pub(super) cuts: bool,
    /// `qr` is the address as a picture, to be read by a phone.
    pub(super) qr: Option<String>,
    /// `private`: only members of the provider's network reach `url`.
    pub(super) private: bool,
    /// `more` are its other addresses.
    pub(super) more: Vec<tunnel::Address>,
    /// `login` is where the owner logs in with the provider before the tunnel opens.
    pub(super) login: Option<LoginRow>,
    pub(super) history: Vec<NoteRow>,
    pub(super) measured: Option<Measured>,
    pub(super) reconnects: u32,
    pub(super) public_check: Option<(Millis, String, bool)>,
    pub(super) swap: Option<SwapRow>,
    /// `others` are plugins that could replace it.
    pub(super) others: Vec<String>,
    pub(super) plaintext: bool,
    pub(super) can_start: bool,
    pub(super) can_stop: bool,
    /// `through`: who looks came through this tunnel, so to stop it is to lock oneself out.
    pub(super) through: bool,
}

/// `LoginRow` is where the owner logs in with the provider.
pub(super) struct LoginRow {
    pub(super) url: String,
    /// `page`: it is the address of a page, and no other text.
    pub(super) page: bool,
    pub(super) code: Option<String>,
}

fn is_page(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// `SwapRow` is a plugin that replaces another, in words.
pub(super) struct SwapRow {
    pub(super) text: String,
    pub(super) fix: Option<String>,
    pub(super) failed: bool,
    pub(super) since: Millis,
}

impl SwapRow {
    /// `current`: the provider of the tunnel. Where it is the new one too, it only gets new settings. What the tunnel's
    /// `state`, which is shown above, says already is not said again; nor what the configuration's card says, where
    /// that `says_why`.
    fn new(swap: &tunnel::Swap, current: &str, state: &TunnelState, says_why: bool) -> Self {
        use tunnel::Step::{Checking, Draining, Failed, Opening};
        let plugin = &swap.plugin;
        let same = plugin == current;
        let (shown, shown_fix) = match state {
            TunnelState::Waiting { cause, fix, .. } | TunnelState::Failed { cause, fix } => (Some(cause), fix.as_ref()),
            TunnelState::Reconnecting { cause } | TunnelState::Degraded { cause } => (Some(cause), None),
            _ => (None, None),
        };
        let known = |cause: &str| shown.is_some_and(|shown| shown.trim_end_matches('.') == cause.trim_end_matches('.'));
        let not_shown = |fix: &Option<String>| fix.clone().filter(|fix| shown_fix != Some(fix));
        let (text, fix) = match &swap.step {
            Opening { progress } if same => (format!("{plugin} is opening with its new settings: {progress}"), None),
            Opening { progress } => (format!("{plugin} is replacing {current}: {progress}"), None),
            Checking { url } => (format!("{plugin} is open at {url}; running the public check"), None),
            Draining { url: Some(url) } => (
                format!("{plugin} is open at {url}; the old address closes in a moment"),
                None,
            ),
            Draining { url: None } => (format!("{plugin} is the provider now"), None),
            Failed { .. } if same && says_why => (
                format!("{plugin} did not open with its new settings ({ABOVE}); the old settings are active again."),
                None,
            ),
            Failed { .. } if says_why => (
                format!("{plugin} could not replace {current} ({ABOVE}). {current} stays active."),
                None,
            ),
            Failed { cause, fix } if same && known(cause) => (
                format!(
                    "{plugin} did not open with its new settings, for the same reason; the old settings are active again."
                ),
                not_shown(fix),
            ),
            Failed { cause, fix } if known(cause) => (
                format!("{plugin} could not replace {current}, for the same reason. {current} stays active."),
                not_shown(fix),
            ),
            Failed { cause, fix } if same => (
                format!("{plugin} did not open with its new settings; the old settings are active again: {cause}"),
                not_shown(fix),
            ),
            Failed { cause, fix } => (
                format!(
                    "{plugin} could not replace {current}: {} {current} stays active.",
                    sentence(cause, None)
                ),
                not_shown(fix),
            ),
        };
        Self {
            text,
            fix,
            failed: matches!(swap.step, Failed { .. }),
            since: swap.since,
        }
    }
}

/// `Measured` is what the provider's program counts, in words.
pub(super) struct Measured {
    pub(super) text: String,
    pub(super) at: Millis,
}

impl Measured {
    fn new(measurement: &Measurement) -> Option<Self> {
        let Measurement { at, statistics } = measurement;
        let counted = |many: Option<u64>, one, more| many.map(|many| plural::of(many, one, more));
        let words: Vec<String> = Some(statistics.locations.join(", "))
            .filter(|places| !places.is_empty())
            .into_iter()
            .chain(counted(statistics.requests, "request", "requests"))
            .chain(counted(statistics.errors, "failed", "failed"))
            .collect();
        let text = words.join(" · ");
        (!text.is_empty()).then_some(Self { text, at: *at })
    }
}

impl TunnelRow {
    pub(super) fn new(
        status: &TunnelStatus,
        now: Millis,
        place: &Place,
        plugins: &[String],
        notes: &[NoteRow],
        swap_explained: bool,
    ) -> Self {
        use nexus_model::tunnel::TunnelState::{
            Degraded, Failed, LoginNeeded, Off, Reconnecting, Starting, Stopping, Up, Waiting, WaitingForAccount,
        };
        let (severity, state, detail, fix) = match &status.state {
            Off => ("inactive", "Closed", None, None),
            WaitingForAccount => (
                "inactive",
                "Waiting",
                Some("The tunnel opens as soon as an owner account exists.".to_owned()),
                None,
            ),
            Starting { progress } => ("warning", "Opening", Some(progress.clone()), None),
            LoginNeeded(_) => (
                "warning",
                "Waiting for you",
                Some("The provider of the tunnel wants you to log in before it opens.".to_owned()),
                None,
            ),
            Up { connections: 1 } => ("ok", "Open", None, None),
            Up { connections } => ("ok", "Open", Some(format!("{connections} connections")), None),
            Degraded { cause } => ("warning", "Open, degraded", Some(cause.clone()), None),
            Reconnecting { cause } => ("warning", "Reconnecting", Some(cause.clone()), None),
            Waiting { cause, fix, at } => (
                "warning",
                "Not open, retrying",
                Some(format!("{} Nexus retries {}.", sentence(cause, None), until(*at, now))),
                fix.clone(),
            ),
            Failed { cause, fix } => ("error", "Failed", Some(sentence(cause, None)), fix.clone()),
            Stopping => ("warning", "Closing", None, None),
        };
        let fresh = status.url_propagating;
        let url = status.url.clone().filter(|url| is_page(url));
        let subject = format!("tunnel {}", status.name);
        let resting = matches!(status.state, Off | Failed { .. });
        let swapping = status
            .swap
            .as_ref()
            .is_some_and(|swap| !matches!(swap.step, tunnel::Step::Failed { .. }));
        Self {
            name: status.name.clone(),
            title: status.title.clone(),
            plugin: status.plugin.clone(),
            severity,
            state,
            detail,
            fix,
            qr: url.as_deref().filter(|_| !fresh).and_then(qr_code),
            fresh,
            cuts: status.fixed_listen && status.state != Off,
            history: notes
                .iter()
                .filter(|note| note.subject == subject)
                .take(limits::STATUS_HISTORY)
                .cloned()
                .collect(),
            url,
            private: status.addresses.first().is_some_and(|first| first.private),
            more: status.addresses.iter().skip(1).cloned().collect(),
            login: match &status.state {
                LoginNeeded(login) => Some(LoginRow {
                    page: login.login_url.starts_with("https://"),
                    url: login.login_url.clone(),
                    code: login.code.clone(),
                }),
                _ => None,
            },
            measured: status.statistics.as_ref().and_then(Measured::new),
            reconnects: status.reconnects,
            public_check: status.public_check.as_ref().map(|check| match &check.result {
                tunnel::PublicCheckResult::Passed { latency_ms } => {
                    (check.at, format!("public check OK in {latency_ms} ms"), true)
                }
                tunnel::PublicCheckResult::Failed { cause } => {
                    (check.at, format!("public check failed: {cause}"), false)
                }
            }),
            others: if swapping {
                Vec::new()
            } else {
                plugins.iter().filter(|name| **name != status.plugin).cloned().collect()
            },
            // The history keeps it longer.
            swap: status
                .swap
                .as_ref()
                .filter(|swap| swapping || now.saturating_sub(swap.since) < FAILED_SWAP)
                .map(|swap| SwapRow::new(swap, &status.plugin, &status.state, swap_explained)),
            plaintext: status.encryption == Some(Encryption::None)
                || status
                    .addresses
                    .iter()
                    .any(|address| !address.private && address.url.starts_with("http:")),
            can_start: resting && !swapping,
            can_stop: !resting && status.state != Stopping,
            through: *place == Place::Tunnel(status.name.clone()),
        }
    }
}

/// `ABOVE` is where the reason stands.
const ABOVE: &str = "the reason is under Configuration";

/// `FAILED_SWAP` is how long a failed swap is shown, in milliseconds.
const FAILED_SWAP: Millis = 15 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::SwapRow;
    use nexus_model::tunnel::{Step, Swap, TunnelState};

    #[test]
    fn a_swap_that_failed_names_the_current_plugin_or_says_that_it_is_the_same() {
        let failed = |plugin: &str| {
            let step = Step::Failed {
                cause: "no such server".to_owned(),
                fix: None,
            };
            let swap = Swap {
                plugin: plugin.to_owned(),
                since: 0,
                step,
            };
            SwapRow::new(&swap, "tunnel-cloudflared", &TunnelState::Off, false).text
        };
        assert_eq!(
            failed("tunnel-cloudflared"),
            "tunnel-cloudflared did not open with its new settings; the old settings are active again: no such server"
        );
        assert_eq!(
            failed("tunnel-ssh"),
            "tunnel-ssh could not replace tunnel-cloudflared: no such server. tunnel-cloudflared stays active."
        );
    }

    #[test]
    fn a_cause_that_the_tunnel_shows_already_is_not_repeated_by_its_swap() {
        let fix = Some("install it".to_owned());
        let row = |plugin: &str, cause: &str| {
            let (cause, fix) = (cause.to_owned(), fix.clone());
            let step = Step::Failed {
                cause,
                fix: fix.clone(),
            };
            let (plugin, since) = (plugin.to_owned(), 0);
            let state = TunnelState::Failed {
                cause: "cloudflared is not installed".to_owned(),
                fix,
            };
            let row = SwapRow::new(&Swap { plugin, since, step }, "tunnel-cloudflared", &state, false);
            (row.text, row.fix)
        };
        assert_eq!(
            row("tunnel-cloudflared", "cloudflared is not installed."),
            (
                "tunnel-cloudflared did not open with its new settings, for the same reason; the old settings are active again."
                    .to_owned(),
                None
            )
        );
        let (text, fix) = row("tunnel-ssh", "ssh is not installed");
        assert!(text.contains("ssh is not installed") && fix.is_none(), "{text}");
    }
}
