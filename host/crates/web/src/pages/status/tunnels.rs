//! The tunnels, one card each: how it is, where it leads, and a plugin that replaces another.

use super::notes::NoteRow;
use crate::http::listener::Place;
use crate::pages::until;
use nexus_model::limits;
use nexus_model::plural;
use nexus_model::time::Millis;
use nexus_model::trouble::sentence;
use nexus_model::tunnel::{self, Encryption, TunnelStatistics, TunnelStatus};

pub(super) struct TunnelRow {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) plugin: String,
    pub(super) tone: &'static str,
    pub(super) state: &'static str,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    pub(super) url: Option<String>,
    /// `fresh`: the address was made just now; it is shown, and not to be opened yet.
    pub(super) fresh: bool,
    /// `cuts`: a swap cuts off whoever came through it.
    pub(super) cuts: bool,
    /// `qr` is the address as a picture, to be read by a phone.
    pub(super) qr: Option<String>,
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

/// `qr` is an SVG of black on white: readers want it so, whatever the colors of the page.
fn qr(url: &str) -> Option<String> {
    let code = qrcode::QrCode::new(url).ok()?;
    let svg = code
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(180, 180)
        .build();
    // The declaration before the element belongs to a file of its own.
    svg.find("<svg").and_then(|at| svg.get(at..)).map(str::to_owned)
}

/// `SwapRow` is a plugin that replaces another, in words.
pub(super) struct SwapRow {
    pub(super) text: String,
    pub(super) hint: Option<String>,
    pub(super) failed: bool,
    pub(super) since: Millis,
}

impl SwapRow {
    /// `current`: the provider of the tunnel. Where it is the new one too, it only gets new settings.
    fn new(swap: &tunnel::Swap, current: &str) -> Self {
        use tunnel::Step::{Checking, Draining, Failed, Opening};
        let plugin = &swap.plugin;
        let same = plugin == current;
        let (text, hint) = match &swap.step {
            Opening { what } if same => (format!("{plugin} is opening with its new settings: {what}"), None),
            Opening { what } => (format!("{plugin} is replacing {current}: {what}"), None),
            Checking { url } => (format!("{plugin} is open at {url}; running the public check"), None),
            Draining { url: Some(url) } => (
                format!("{plugin} is open at {url}; the old address closes in a moment"),
                None,
            ),
            Draining { url: None } => (format!("{plugin} is the provider now"), None),
            Failed { why, hint } if same => (
                format!("{plugin} did not open with its new settings; the old settings are active again: {why}"),
                hint.clone(),
            ),
            Failed { why, hint } => (
                format!(
                    "{plugin} could not replace {current}: {} {current} stays active.",
                    sentence(why, None)
                ),
                hint.clone(),
            ),
        };
        Self {
            text,
            hint,
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
    fn new((at, statistics): &(Millis, TunnelStatistics)) -> Option<Self> {
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
    ) -> Self {
        use nexus_model::tunnel::TunnelState::{
            Degraded, Failed, Off, Reconnecting, Starting, Stopping, Up, Waiting, WaitingForAccount,
        };
        let (tone, state, detail, hint) = match &status.state {
            Off => ("off", "Closed", None, None),
            WaitingForAccount => (
                "off",
                "Waiting",
                Some("The tunnel opens as soon as an owner account exists.".to_owned()),
                None,
            ),
            Starting { what } => ("busy", "Opening", Some(what.clone()), None),
            Up { connections: 1 } => ("good", "Open", None, None),
            Up { connections } => ("good", "Open", Some(format!("{connections} connections")), None),
            Degraded { why } => ("busy", "Open, degraded", Some(why.clone()), None),
            Reconnecting { why } => ("busy", "Reconnecting", Some(why.clone()), None),
            Waiting { why, hint, at } => (
                "busy",
                "Not open, retrying",
                Some(format!("{} Nexus retries {}.", sentence(why, None), until(*at, now))),
                hint.clone(),
            ),
            Failed { why, hint } => ("bad", "Failed", Some(sentence(why, None)), hint.clone()),
            Stopping => ("busy", "Closing", None, None),
        };
        let fresh = status.fresh;
        let url = status
            .url
            .clone()
            .filter(|url| url.starts_with("https://") || url.starts_with("http://"));
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
            tone,
            state,
            detail,
            hint,
            qr: url.as_deref().filter(|_| !fresh).and_then(qr),
            fresh,
            cuts: status.fixed_listen && status.state != Off,
            history: notes
                .iter()
                .filter(|note| note.subject == subject)
                .take(limits::STATUS_HISTORY)
                .cloned()
                .collect(),
            url,
            measured: status.statistics.as_ref().and_then(Measured::new),
            reconnects: status.reconnects,
            public_check: status.public_check.as_ref().map(|check| match &check.result {
                tunnel::PublicCheckResult::Passed { latency } => {
                    (check.at, format!("public check OK in {latency} ms"), true)
                }
                tunnel::PublicCheckResult::Failed { why } => (check.at, format!("public check failed: {why}"), false),
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
                .map(|swap| SwapRow::new(swap, &status.plugin)),
            plaintext: status.encryption == Some(Encryption::None),
            can_start: resting && !swapping,
            can_stop: !resting && status.state != Stopping,
            through: *place == Place::Tunnel(status.name.clone()),
        }
    }
}

/// `FAILED_SWAP` is how long a failed swap is shown, in milliseconds.
const FAILED_SWAP: Millis = 15 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::SwapRow;
    use nexus_model::tunnel::{Step, Swap};

    #[test]
    fn a_swap_that_failed_names_the_current_plugin_or_says_that_it_is_the_same() {
        let failed = |plugin: &str| {
            let step = Step::Failed {
                why: "no such server".to_owned(),
                hint: None,
            };
            let swap = Swap {
                plugin: plugin.to_owned(),
                since: 0,
                step,
            };
            SwapRow::new(&swap, "tunnel-cloudflared").text
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
}
