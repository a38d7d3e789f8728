//! What the file names is not there, and comes later.

use super::lists;
use super::rig::{BEGUN, rig};
use nexus_model::reload::PendingState;

/// Making a folder changes no file that is looked at.
#[tokio::test(start_paused = true)]
async fn a_folder_that_is_made_later_is_found_without_another_edit() {
    let mut rig = rig().await;
    let text = BEGUN.replace("[chat.main]\n", "[chat.main]\nworkspaces = [\"gone\", \"lost\"]\n");
    let pending = rig.write(&text).await.unwrap();
    let PendingState::Invalid { cause } = &pending.what else {
        panic!("{pending:?}");
    };
    for words in [
        "nexus.toml:3:",
        "/gone does not exist",
        "/lost does not exist",
        "mkdir -p",
    ] {
        assert!(cause.contains(words), "{words}: {cause}");
    }
    for folder in ["gone", "lost"] {
        std::fs::create_dir(rig.dir.join(folder)).unwrap();
    }
    let changed = |pending: &nexus_model::reload::Pending| matches!(pending.what, PendingState::Changed { .. });
    let pending = rig.pending("the folders are found", changed).await;
    assert_eq!(lists(&pending).1, ["chat.main.workspaces"]);
}
