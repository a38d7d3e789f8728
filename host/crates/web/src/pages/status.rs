//! `/status`: the plugins and tunnels as they really are. The body is one template, rendered for the page and again
//! for the live socket at every change, so that both say the same.

pub(crate) mod actions;
mod notes;
mod plugins;
mod qr_code;
mod tunnels;

use super::{Frame, show};
use crate::WebState;
use crate::http::identity::User;
use crate::http::listener::Place;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use nexus_chat::{BackendStatus, Missing, Phase};
use nexus_model::limits;
use nexus_model::plugin::{Details, Failure};
use nexus_model::reload::{self, Change, Effect, Pending, PendingState};
use nexus_model::trouble::Trouble;
use notes::NoteRow;
use plugins::{Machine, PluginRow};
use tunnels::{SwapRow, TunnelRow};

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
    /// `not_applied` says which of these changes failed, and why.
    not_applied: Option<String>,
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
        let cuts = |effect: &Effect| effect.disconnects && effect.tunnel.is_some() && effect.tunnel == self.through;
        effects.iter().any(cuts)
    }
}

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
    // The wanted one comes by itself once its program is there.
    let wanted = backend.missing.as_ref().map(|_| services.chat.plugin());
    chats.retain(|name| *name != backend.plugin && Some(name) != wanted.as_ref());
    let plugin = backend.plugin.clone();
    let missing_program = wanted.filter(|_| backend.missing.as_ref().is_some_and(Missing::is_not_installed));
    let plugins = services.plugins.catalog.of_kind(nexus_model::plugin::Kind::Tunnel);
    let pending = services.reload.pending().borrow().clone();
    let says_why = |tunnel: &str| {
        let of = format!("Tunnel {tunnel}: ");
        pending
            .as_ref()
            .is_some_and(|pending| pending.what.says_not_applied(&of))
    };
    let tunnel_rows = services
        .tunnels
        .statuses()
        .borrow()
        .iter()
        .map(|status| TunnelRow::new(status, now, place, &plugins, &notes, says_why(&status.name)))
        .map(|row| TunnelRow {
            fix: row.fix.map(|fix| services.host.complete(&fix)),
            swap: row.swap.map(|swap| SwapRow {
                fix: swap.fix.map(|fix| services.host.complete(&fix)),
                ..swap
            }),
            ..row
        })
        .collect();
    let not_applied = match pending.as_ref().map(|pending| &pending.what) {
        Some(PendingState::Changed { confirm, .. }) => reload::not_applied(confirm, |fix| services.host.complete(fix)),
        Some(PendingState::Invalid { .. }) | None => None,
    };
    StatusBody {
        pending,
        not_applied,
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
        plugins: plugins::rows(
            &services.plugins.statuses.subscribe().borrow(),
            details,
            missing_program.as_deref(),
            now,
        )
        .into_iter()
        .map(|row| PluginRow {
            failure: row.failure.map(|failure| Failure {
                fix: failure.fix.map(|fix| services.host.complete(&fix)),
                ..failure
            }),
            ..row
        })
        .collect(),
        tunnels: tunnel_rows,
        activity: notes.into_iter().take(limits::STATUS_ACTIVITY).collect(),
        config_file: services.host.config_file.clone(),
        workspace: services.host.workspace.clone(),
    }
}

pub(crate) async fn page(State(state): State<WebState>, user: User) -> Response {
    let details = details(&state).await;
    let body = body(&state, &details, &user.login.csrf, &user.site.place);
    let frame = Frame::of("status", "Status", user.login, body.backend.clone()).in_app(&state);
    show(&StatusPage { frame, body })
}
