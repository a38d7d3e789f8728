//! Which notices of old keys are logged.

use super::rig::{BEGUN, rig_of};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the messages of the lines about renamed keys.
#[derive(Clone, Default)]
struct Renamed(Arc<Mutex<Vec<String>>>);

impl Renamed {
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Visit for Renamed {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" && text.contains("has been renamed") {
            self.0.lock().unwrap().push(text);
        }
    }
}

impl Subscriber for Renamed {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_was_shown_at_the_start_is_not_logged_again_and_a_new_one_is() {
    let renamed = Renamed::default();
    let _log = tracing::subscriber::set_default(renamed.clone());
    let old = BEGUN.replace("config_version", "config-version");
    let mut rig = rig_of(&old, |config| {
        assert_eq!(config.notices.len(), 1, "{:?}", config.notices)
    })
    .await;

    // The first reading after the start, of a file that is the same but for a key.
    let lockout = format!("{old}[auth]\nlockout = \"1h\"\n");
    rig.write(&lockout).await.unwrap();
    assert_eq!(renamed.taken(), Vec::<String>::new());

    let probe = lockout.replace("[tunnel.main]\n", "[tunnel.main]\nprobe = \"off\"\n");
    rig.write(&probe).await.unwrap();
    let new = renamed.taken();
    assert!(
        new.len() == 1 && new[0].contains("the key `probe` has been renamed to `public_check`"),
        "{new:?}"
    );

    rig.write(&probe.replace("\"1h\"", "\"2h\"")).await.unwrap();
    assert_eq!(renamed.taken(), Vec::<String>::new());
}
