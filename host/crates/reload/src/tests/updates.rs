//! A component in a file that becomes another one.

use super::*;

const NICE: &str = "name = \"tunnel-nice\"\nkind = \"tunnel\"\nversion = \"0.1.0\"\napi = \"0.2\"\ndescription = \
                    \"d\"\nlicense = \"MIT\"\n[capabilities.process.node]\nreason = \"r\"\n";

async fn with_a_component(rig: &mut Rig) -> PathBuf {
    let file = rig.dir.join("x.wasm");
    std::fs::write(&file, NICE).unwrap();
    let text = BEGUN.replacen("tunnel-bore", "tunnel-x", 1) + "[plugin.tunnel-x]\nsource = \"x.wasm\"\n";
    let pending = rig.write(&text).await.unwrap();
    rig.service.apply(&pending.id).await.unwrap();
    file
}

impl Rig {
    /// What is pending once the component is another one.
    async fn replaced(&mut self, file: &Path, manifest: &str) -> Pending {
        let before = self
            .pending
            .borrow_and_update()
            .as_ref()
            .map(|pending| pending.id.clone());
        std::fs::write(file, manifest).unwrap();
        self.pending("the new component is noticed", |now| Some(&now.id) != before.as_ref())
            .await
    }
}

fn only_component(pending: &Pending) -> reload::Component {
    match &pending.what {
        PendingState::Changed { components, .. } => {
            assert_eq!(components.len(), 1, "{components:?}");
            components[0].clone()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_component_says_what_it_is_and_what_more_it_asks() {
    let mut rig = rig().await;
    let file = with_a_component(&mut rig).await;
    let other = NICE
        .replace("tunnel-nice", "tunnel-evil")
        .replace("0.1.0", "1.0.0")
        .replace("process.node", "process.sh");
    let pending = rig.replaced(&file, &other).await;
    let shown = only_component(&pending);
    let old = shown.old.unwrap();
    assert_eq!(
        (old.name.as_str(), old.version.as_str(), old.api.as_str()),
        ("tunnel-nice", "0.1.0", "^0.2")
    );
    assert_eq!(
        (shown.new.name.as_str(), shown.new.version.as_str()),
        ("tunnel-evil", "1.0.0")
    );
    assert_eq!(
        (shown.new_permissions, shown.removed_permissions),
        (vec!["run sh".to_owned()], vec!["run node".to_owned()])
    );
    assert!(
        shown.mismatches[0].contains("name is tunnel-evil"),
        "{:?}",
        shown.mismatches
    );
    assert_eq!(lists(&pending).0, ["plugin.tunnel-x.(component)"]);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_would_not_load_cannot_be_confirmed() {
    let mut rig = rig().await;
    let file = with_a_component(&mut rig).await;
    rig.done();
    let pending = rig.replaced(&file, &NICE.replace("0.1.0", "9.0.0")).await;
    assert_eq!(
        only_component(&pending).cause.as_deref(),
        Some("it wants another contract")
    );
    let PendingState::Changed { confirm, restart, .. } = &pending.what else {
        panic!("{pending:?}");
    };
    assert_eq!(confirm.len(), 0, "{confirm:?}");
    assert_eq!(
        restart[0].cause.as_deref(),
        Some("the component cannot be loaded: it wants another contract")
    );
    rig.service.apply(&pending.id).await.unwrap();
    assert_eq!(rig.done(), Vec::<String>::new());
    assert_eq!(rig.plugin("tunnel-x").component.version, "0.1.0");
}
