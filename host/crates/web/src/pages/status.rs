//! `/status`: the plugins and tunnels as they really are. The body is one template, rendered for the page and again
//! for the live socket at every change, so that both say the same.

mod plugins;

use super::{Frame, message, show, until};
use crate::WebState;
use crate::http::identity::{User, UserForm};
use crate::http::listener::Place;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use nexus_chat::{BackendStatus, Phase};
use nexus_config::with_file;
use nexus_model::activity::{Note, Tone};
use nexus_model::limits;
use nexus_model::plugin::Details;
use nexus_model::plural;
use nexus_model::reload::{Change, Effect, Pending, What};
use nexus_model::time::Millis;
use nexus_model::trouble::{Trouble, sentence};
use nexus_model::tunnel::{self, Encryption, TunnelStatistics, TunnelStatus};
use plugins::{Machine, PluginRow};

#[derive(Template)]
#[template(path = "status.html")]
struct StatusPage {
    frame: Frame,
    body: StatusBody,
}

#[derive(Template)]
#[template(path = "status_body.html")]
struct StatusBody {
    csrf: String,
    version: String,
    /// `starting` is what is being compiled.
    starting: Option<String>,
    /// `troubles` are what does not work, besides plugins and tunnels.
    troubles: Vec<Trouble>,
    /// `pending` is what the configuration's file has that is not applied yet.
    pending: Option<Pending>,
    /// `through` is the tunnel that whoever looks came through.
    through: Option<String>,
    backend: BackendStatus,
    /// `resting`: the backend does not run, and does not come by itself.
    resting: bool,
    /// `chats` are plugins that could be the backend.
    chats: Vec<String>,
    sessions: usize,
    /// `machine` is what the backend's processes use.
    machine: Option<Machine>,
    plugins: Vec<PluginRow>,
    tunnels: Vec<TunnelRow>,
    activity: Vec<NoteRow>,
    config_file: String,
    workspace: String,
}

/// `Changes` are keys of the configuration, with what they were and are.
#[derive(Template)]
#[template(path = "changes.html")]
struct Changes<'a> {
    changes: &'a [Change],
}

impl StatusBody {
    fn changes(&self, changes: &[Change]) -> String {
        Changes { changes }.render().unwrap_or_default()
    }
    /// Tells whether whoever looks came through a tunnel that is closed by it.
    fn cuts_off(&self, effects: &[Effect]) -> bool {
        let cuts = |effect: &Effect| effect.closes && effect.tunnel.is_some() && effect.tunnel == self.through;
        effects.iter().any(cuts)
    }
}

struct TunnelRow {
    name: String,
    title: String,
    plugin: String,
    tone: &'static str,
    state: &'static str,
    detail: Option<String>,
    hint: Option<String>,
    url: Option<String>,
    /// `fresh`: the address was made just now; it is shown, and not to be opened yet.
    fresh: bool,
    /// `cuts`: a swap cuts off whoever came through it.
    cuts: bool,
    /// `qr` is the address as a picture, to be read by a phone.
    qr: Option<String>,
    history: Vec<NoteRow>,
    measured: Option<Measured>,
    reconnects: u32,
    public_check: Option<(Millis, String, bool)>,
    swap: Option<SwapRow>,
    /// `others` are plugins that could replace it.
    others: Vec<String>,
    plaintext: bool,
    can_start: bool,
    can_stop: bool,
    /// `through`: who looks came through this tunnel, so to stop it is to lock oneself out.
    through: bool,
}

/// `NoteRow` is something that happened.
#[derive(Clone)]
struct NoteRow {
    at: Millis,
    subject: String,
    tone: &'static str,
    text: String,
}

impl NoteRow {
    fn new(note: &Note) -> Self {
        Self {
            at: note.at,
            subject: note.subject.clone(),
            tone: match note.tone {
                Tone::Good => "good",
                Tone::Busy => "busy",
                Tone::Bad => "bad",
                Tone::Off => "off",
            },
            text: note.text.clone(),
        }
    }
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
struct SwapRow {
    text: String,
    hint: Option<String>,
    failed: bool,
    since: Millis,
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
struct Measured {
    text: String,
    at: Millis,
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
    fn new(status: &TunnelStatus, now: Millis, place: &Place, plugins: &[String], notes: &[NoteRow]) -> Self {
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

/// What the plugins are and did. Asks the system about their processes, which is no work for a thread of the runtime.
pub(crate) async fn details(state: &WebState) -> Vec<Details> {
    let status = std::sync::Arc::clone(&state.services.plugins.statuses);
    tokio::task::spawn_blocking(move || status.details())
        .await
        .unwrap_or_default()
}

fn body(state: &WebState, details: &[Details], csrf: &str, place: &Place) -> StatusBody {
    let now = state.clock.now();
    let services = &state.services;
    let activity = services.activity.recent();
    let notes: Vec<NoteRow> = activity.borrow().iter().map(NoteRow::new).collect();
    let backend = services.chat.backend().borrow().clone();
    let mut chats = services.chat.plugins();
    chats.retain(|name| *name != backend.plugin);
    let plugin = backend.plugin.clone();
    let plugins = services.plugins.catalog.of_kind(nexus_model::plugin::Kind::Tunnel);
    let pending = services.reload.pending().borrow().clone();
    let file = std::path::Path::new(&services.host.config_file);
    StatusBody {
        pending,
        starting: services.plugins.progress.text(),
        troubles: services.plugins.statuses.troubles(),
        through: match place {
            Place::Tunnel(name) => Some(name.clone()),
            Place::Loopback | Place::Host(_) => None,
        },
        csrf: csrf.to_owned(),
        version: services.host.version.clone(),
        resting: matches!(backend.phase, Phase::Stopped | Phase::Failed { .. }),
        backend,
        chats,
        sessions: services.chat.sessions().borrow().len(),
        machine: details
            .iter()
            .find(|details| details.name == plugin)
            .and_then(|details| Machine::new(details, now)),
        plugins: plugins::rows(&services.plugins.statuses.subscribe().borrow(), details, now),
        tunnels: services
            .tunnels
            .statuses()
            .borrow()
            .iter()
            .map(|status| TunnelRow::new(status, now, place, &plugins, &notes))
            .map(|row| TunnelRow {
                hint: row.hint.map(|hint| with_file(&hint, Some(file))),
                swap: row.swap.map(|swap| SwapRow {
                    hint: swap.hint.map(|hint| with_file(&hint, Some(file))),
                    ..swap
                }),
                ..row
            })
            .collect(),
        activity: notes.into_iter().take(limits::STATUS_ACTIVITY).collect(),
        config_file: services.host.config_file.clone(),
        workspace: services.host.workspace.clone(),
    }
}

/// The body as the live socket sends it. `csrf`: of the login that it goes to; `place`: where that came in.
pub(crate) async fn fragment(state: &WebState, csrf: &str, place: &Place) -> Option<String> {
    let details = details(state).await;
    body(state, &details, csrf, place).render().ok()
}

pub(crate) async fn page(State(state): State<WebState>, user: User) -> Response {
    let details = details(&state).await;
    let body = body(&state, &details, &user.login.csrf, &user.site.place);
    let frame = Frame::of("status", "Status", user.login, body.backend.clone());
    show(&StatusPage { frame, body })
}

pub(crate) async fn backend(State(state): State<WebState>, Path(action): Path<String>, user: UserForm) -> Response {
    let chat = std::sync::Arc::clone(&state.services.chat);
    if user.fields.get("sure") != "yes"
        && let plugin = user.fields.get("plugin")
        && let Some(questions) = questions(&action, plugin, chat.busy(), chat.is_example(plugin))
    {
        return confirm(user, &action, questions);
    }
    // Answers that run have time to finish: the page shows that it waits, and nobody waits for it here.
    match action.as_str() {
        "start" => drop(tokio::spawn(async move { chat.start().await })),
        "stop" => drop(tokio::spawn(async move { chat.stop().await })),
        "restart" => drop(tokio::spawn(async move { chat.restart().await })),
        "swap" => {
            // Refused at once where it can be seen at once.
            let plugin = user.fields.get("plugin");
            if let Err(error) = chat.swap(plugin).await {
                return super::not_done("The backend was not replaced", &state.not_swapped(plugin, error.into()));
            }
        }
        _ => {
            return message(
                StatusCode::NOT_FOUND,
                "Not found",
                "The backend can be started, stopped, restarted or replaced.",
            );
        }
    }
    Redirect::to("/status").into_response()
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    frame: Frame,
    csrf: String,
    action: String,
    plugin: String,
    questions: Vec<String>,
    go: String,
}

/// `questions` are what has to be known before an order that takes something away; empty: it takes nothing.
fn questions(action: &str, plugin: &str, busy: usize, example: bool) -> Option<Vec<String>> {
    let mut questions = Vec::new();
    if busy > 0 && matches!(action, "stop" | "restart" | "swap") {
        let drain = limits::CHAT_DRAIN.as_secs();
        let chats = match busy {
            1 => "One chat has a running answer.".to_owned(),
            many => format!("{many} chats have a running answer."),
        };
        questions.push(format!(
            "{chats} Nexus waits {drain} s for it to finish. After that the answer is interrupted; you can continue \
             it later."
        ));
    }
    if action == "swap" && example {
        questions.push(format!(
            "{plugin} is an example without a model. All chats of the current backend become read-only until you \
             switch back to it."
        ));
    }
    (!questions.is_empty()).then_some(questions)
}

/// Asks once more, as a page: it works without a script.
fn confirm(user: UserForm, action: &str, questions: Vec<String>) -> Response {
    let plugin = user.fields.get("plugin").to_owned();
    let (title, go) = match action {
        "stop" => ("Stop the backend?", "Stop".to_owned()),
        "restart" => ("Restart the backend?", "Restart".to_owned()),
        _ => ("Replace the backend?", format!("Use {plugin}")),
    };
    let csrf = user.login.csrf;
    let frame = Frame::open("message", title);
    show(&ConfirmPage {
        frame,
        csrf,
        action: action.to_owned(),
        plugin,
        questions,
        go,
    })
}

/// Only with a fresh login: whoever finds an open session, or is the agent on this machine, grants nobody anything.
pub(crate) async fn apply(State(state): State<WebState>, user: UserForm) -> Response {
    if !state.services.auth.recently_checked(&user.login.login) {
        return super::redirect::again("/status");
    }
    let id = user.fields.get("id").to_owned();
    let config = std::sync::Arc::clone(&state.services.reload);
    if config
        .pending()
        .borrow()
        .as_ref()
        .is_none_or(|pending| pending.id != id)
    {
        return message(
            StatusCode::CONFLICT,
            "The changes were not applied",
            "The configuration file has changed again. To fix: open the status page, review the changes and apply them.",
        );
    }
    // It takes a while, and the page shows how it goes: nobody waits for it here.
    tokio::spawn(async move { config.apply(&id).await });
    Redirect::to("/status").into_response()
}

pub(crate) async fn tunnel(
    State(state): State<WebState>,
    Path((name, action)): Path<(String, String)>,
    user: UserForm,
) -> Response {
    let done = match action.as_str() {
        "start" => state.services.tunnels.open(&name).await,
        "stop" => state.services.tunnels.close(&name).await,
        "swap" => {
            // It takes a while, and the page shows how it goes: nobody waits for it here.
            let (tunnels, plugin) = (
                std::sync::Arc::clone(&state.services.tunnels),
                user.fields.get("plugin").to_owned(),
            );
            tokio::spawn(async move { tunnels.swap(&name, &plugin).await });
            Ok(())
        }
        _ => {
            return message(
                StatusCode::NOT_FOUND,
                "Not found",
                "A tunnel can be started, stopped or given another provider.",
            );
        }
    };
    let title = if action == "start" {
        "The tunnel was not opened"
    } else {
        "The tunnel was not closed"
    };
    match done {
        Ok(()) => Redirect::to("/status").into_response(),
        Err(error) => super::not_done(title, &error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{SwapRow, questions};
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

    #[test]
    fn only_what_takes_something_away_is_asked_about() {
        for action in ["start", "restart", "stop", "swap"] {
            assert_eq!(questions(action, "chat-mine", 0, false), None, "{action}");
        }
        assert_eq!(questions("start", "", 3, true), None);
        for action in ["restart", "stop", "swap"] {
            let asked = questions(action, "chat-mine", 1, false).unwrap();
            assert!(asked[0].contains("waits 30 s"), "{asked:?}");
        }
        let asked = questions("swap", "chat-echo", 2, true).unwrap();
        assert!(
            asked[0].contains("2 chats") && asked[1].contains("without a model"),
            "{asked:?}"
        );
    }
}
