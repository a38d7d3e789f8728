//! What one place, one device and one account may cost another: nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::testing::{Fake, reopen};
use super::tests::{add, attempt, change, client, owner, reset, send, state};
use super::*;
use nexus_testkit::wait;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn at(place: &str, browser: &str, device: Option<&str>) -> Client {
    Client {
        place: place.to_owned(),
        ..client(browser, device)
    }
}

async fn rows(auth: &AuthService) -> i64 {
    let count = auth
        .store
        .read(|db| db.query_row("SELECT count(*) FROM lockout", [], |row| row.get(0)));
    count.await.unwrap()
}

#[tokio::test]
async fn a_lock_at_one_place_locks_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, ..) = owner(dir.path()).await;
    let through = at("tunnel main", "s", None);
    let mut heard = auth.lockouts();
    for _ in 0..5 {
        attempt(&auth, "owner", "wrong", &through).await.unwrap_err();
    }
    assert!(matches!(
        attempt(&auth, "owner", "right one", &through).await,
        Err(AuthError::Locked { .. })
    ));
    attempt(&auth, "owner", "right one", &at("loopback", "s", None))
        .await
        .unwrap();
    attempt(&auth, "owner", "right one", &at("tunnel other", "s", None))
        .await
        .unwrap();
    assert_eq!(heard.try_recv().unwrap().place, "tunnel main");
    // Names at random are locked as well, and fill nobody's list.
    for _ in 0..5 {
        attempt(&auth, "nobody", "wrong", &through).await.unwrap_err();
    }
    assert!(heard.try_recv().is_err());
    assert!(auth.unlock_account("owner").await.unwrap(), "at all places");
    attempt(&auth, "owner", "right one", &through).await.unwrap();
}

/// An attempt of one who is locked, or who has to wait, writes nothing: each row was synced to the disk.
#[tokio::test]
async fn nothing_is_written_before_a_password_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, fake, _) = owner(dir.path()).await;
    let stranger = at("tunnel main", "s", None);
    let busy = super::hash_queue::Applicant {
        place: "tunnel main".into(),
        network: "n".into(),
        known: false,
    };
    // The one turn that strangers have is taken.
    let running = auth.hashing.permit(busy).await.unwrap();
    let hashed = fake.hashed.load(Ordering::SeqCst);
    let attempts = (0..64).map(|n| {
        let (auth, stranger, name) = (&auth, &stranger, format!("name{n}"));
        async move {
            let state = state(auth, stranger).await;
            send(
                auth,
                &state,
                &[("account", name.as_str()), ("password", "wrong")],
                stranger,
            )
            .await
        }
    });
    let attempts = tokio::time::timeout(Duration::from_millis(300), futures::future::join_all(attempts));
    assert!(attempts.await.is_err(), "some of them wait");
    assert_eq!(rows(&auth).await, 0);
    assert_eq!(fake.hashed.load(Ordering::SeqCst), hashed);
    // The owner's own device does not wait.
    let here = at("loopback", "k", None);
    let known = attempt(&auth, "owner", "right one", &here);
    drop(running);
    let device = known.await.unwrap().device;
    let busy = super::hash_queue::Applicant {
        place: "tunnel main".into(),
        network: "n".into(),
        known: false,
    };
    let _running = auth.hashing.permit(busy).await.unwrap();
    for place in ["loopback", "tunnel main"] {
        let known = at(place, "k", Some(&device));
        let known = attempt(&auth, "owner", "right one", &known);
        wait::within("the login from the known device", known).await.unwrap();
    }
}

#[tokio::test]
async fn a_new_password_ends_known_devices_too() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _, first) = owner(dir.path()).await;
    let second = attempt(&auth, "owner", "right one", &client("b", None)).await.unwrap();
    let account = Account::parse("owner", "a").unwrap();
    let known = async |device: &str| {
        let counter = auth.counter(&account, &client("b", Some(device))).await.unwrap();
        counter.known
    };
    assert!(known(&first.device).await && known(&second.device).await);
    change(&auth, &first.login, "right one", "another one", &client("b", None))
        .await
        .unwrap();
    assert!(known(&first.device).await && !known(&second.device).await);
    assert!(reset(&auth, "owner", "a third one").await.unwrap());
    assert!(!known(&first.device).await);
    assert!(auth.access().await.unwrap().devices.is_empty());
}

#[tokio::test]
async fn every_login_device_and_account_is_listed_and_can_be_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, mine) = owner(dir.path()).await;
    let here = client("b", None);
    assert!(add(&auth, "guest", "a guest's one").await.unwrap());
    let phone = attempt(&auth, "owner", "right one", &at("tunnel main", "p", None))
        .await
        .unwrap();
    let guest = attempt(&auth, "guest", "a guest's one", &here).await.unwrap();
    let access = auth.access().await.unwrap();
    assert_eq!(
        (access.accounts.len(), access.logins.len(), access.devices.len()),
        (2, 3, 3)
    );
    let listed = access.logins.iter().find(|login| login.id == phone.login.id).unwrap();
    assert_eq!(
        (listed.place.as_str(), listed.peer.as_str()),
        ("tunnel main", "192.0.2.7")
    );
    // Another account's login.
    auth.end(&mine.login, &here, &End::Login(guest.login.id.clone()))
        .await
        .unwrap();
    assert!(auth.authenticate("loopback", "", &guest.token).await.unwrap().is_none());
    // A device takes its logins along.
    auth.end(&mine.login, &here, &End::Device(phone.login.device.clone()))
        .await
        .unwrap();
    assert!(
        auth.authenticate("tunnel main", "", &phone.token)
            .await
            .unwrap()
            .is_none()
    );
    auth.end(&mine.login, &here, &End::Account("guest".into()))
        .await
        .unwrap();
    let access = auth.access().await.unwrap();
    assert_eq!(
        (access.accounts.len(), access.logins.len(), access.devices.len()),
        (1, 1, 1)
    );
    assert_eq!(
        attempt(&auth, "guest", "a guest's one", &here).await.unwrap_err(),
        AuthError::BadCredential
    );
    // The last one stays, unless the operator insists; set-up stays closed then.
    let last = auth
        .end(&mine.login, &here, &End::Account("owner".into()))
        .await
        .unwrap_err();
    assert!(
        matches!(last, AuthError::Rejected { ref cause, .. } if cause.contains("--force")),
        "{last:?}"
    );
    assert!(auth.remove_account("owner", false).await.is_err());
    let removed = auth.remove_account("owner", true).await.unwrap();
    assert_eq!((removed.logins, removed.devices), (1, 1));
    auth.revoked(&mine.login.id).await;
    assert!(!auth.setup_open().await.unwrap());
    assert!(fake.passwords.lock().unwrap().is_empty());
    // What is gone already is no error, and a device that nobody used for long is forgotten.
    drop(auth);
    let auth = reopen(dir.path(), Fake::default(), &clock).await;
    assert!(add(&auth, "again", "right one").await.unwrap());
    let again = attempt(&auth, "again", "right one", &here).await.unwrap();
    auth.end(&again.login, &here, &End::Login("gone".into())).await.unwrap();
    clock.advance(nexus_model::limits::KNOWN_DEVICE + Duration::from_secs(1));
    auth.sweep().await.unwrap();
    assert!(auth.access().await.unwrap().devices.is_empty());
}
