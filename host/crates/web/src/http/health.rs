//! `GET /healthz`: `{"status":"ok"}` to anybody; on loopback also what runs, for scripts on this machine. Not why a plugin
//! crashed: its last words are for who is logged in.

use crate::{SiteContext, WebState};
use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};

pub(crate) async fn healthz(State(state): State<WebState>, Extension(site): Extension<SiteContext>) -> Json<Value> {
    if !site.loopback {
        return Json(json!({ "status": "ok" }));
    }
    let plugins = state.services.plugins.statuses.subscribe();
    let plugins: Vec<Value> = plugins
        .borrow()
        .iter()
        .map(|plugin| {
            let state = serde_json::to_value(&plugin.state)
                .ok()
                .and_then(|state| state.get("state").cloned());
            json!({ "name": plugin.name, "kind": plugin.kind, "version": plugin.version, "state": state,
                "restarts": plugin.restarts })
        })
        .collect();
    Json(json!({ "status": "ok", "version": state.services.host.version, "plugins": plugins }))
}
