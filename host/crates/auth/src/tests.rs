#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::testing::{Fake, reopen, service};
use super::*;
use nexus_model::time::{Clock as _, ManualClock, millis};
use nexus_plugin_traits::CallError;
use nexus_plugin_traits::auth::{Answer, Ask, Denial, Denied, Identity, Input, Step};
use nexus_store::logins::Which;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn input(values: &[(&str, &str)]) -> Input {
    Input(
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

pub(super) fn client(browser: &str, device: Option<&str>) -> Client {
    Client {
        origin: "http://127.0.0.1:7860".to_owned(),
        browser: browser.into(),
        device: device.map(Into::into),
        peer: "192.0.2.7".into(),
        agent: "test".into(),
        place: "loopback".to_owned(),
        holder: String::new(),
    }
}

pub(super) async fn owner(dir: &std::path::Path) -> (Arc<AuthService>, ManualClock, Fake, NewLogin) {
    let fake = Fake::default();
    let (auth, clock) = service(dir, fake.clone()).await;
    let token = auth.setup_link_token().await.unwrap().unwrap();
    let login = set_up(&auth, &token, "Owner ", "right one").await.unwrap();
    (auth, clock, fake, login)
}

/// The set-up page, sent.
pub(super) async fn set_up(
    auth: &Arc<AuthService>,
    token: &str,
    account: &str,
    password: &str,
) -> Result<NewLogin, AuthError> {
    let who = client("b", None);
    let Joining::Enroll(page) = auth.joining(&who).await? else {
        panic!("it keeps passwords")
    };
    let how = Joiner::Answer {
        state: &page.state,
        input: input(&[("password", password)]),
    };
    match auth.join(token, account, how, &who).await? {
        Progress::Done(login) => Ok(login),
        Progress::Next(Page {
            ask: Ask::Form {
                problem: Some(problem), ..
            },
            of_link: true,
            ..
        }) => Err(AuthError::Rejected {
            field: problem.field.unwrap(),
            cause: problem.message,
        }),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn state(auth: &AuthService, client: &Client) -> String {
    auth.begin_login(None, client).await.unwrap().state
}

/// Sends a form of a login.
pub(super) async fn send(
    auth: &Arc<AuthService>,
    state: &str,
    values: &[(&str, &str)],
    client: &Client,
) -> Result<Progress, AuthError> {
    auth.proceed(state, Answer::Form(input(values)), client, None).await
}

pub(super) async fn attempt(
    auth: &Arc<AuthService>,
    account: &str,
    password: &str,
    client: &Client,
) -> Result<NewLogin, AuthError> {
    let state = state(auth, client).await;
    match send(auth, &state, &[("account", account), ("password", password)], client).await? {
        Progress::Done(login) => Ok(login),
        other => panic!("{other:?}"),
    }
}

/// The form of the account page, sent.
pub(super) async fn change(
    auth: &Arc<AuthService>,
    login: &Login,
    current: &str,
    password: &str,
    client: &Client,
) -> Result<Progress, AuthError> {
    let page = auth.change(login, client).await?.unwrap();
    let answer = Answer::Form(input(&[("current", current), ("password", password)]));
    auth.proceed(&page.state, answer, client, Some(login)).await
}

/// `nexus user passwd`.
pub(super) async fn reset(auth: &AuthService, account: &str, password: &str) -> Result<bool, AuthError> {
    let form = auth.enrollment(account).await?.unwrap();
    auth.reset_password(account, &form, input(&[("password", password)]))
        .await
}

/// `nexus user add`.
pub(super) async fn add(auth: &AuthService, account: &str, password: &str) -> Result<bool, AuthError> {
    let form = auth.enrollment(account).await?.unwrap();
    auth.add_account(account, &form, input(&[("password", password)])).await
}

#[tokio::test]
async fn set_up_is_for_the_first_user_ever() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let (auth, clock) = service(dir.path(), fake.clone()).await;
    assert_eq!(auth.setup_check("guess").await, Err(AuthError::SetUpWrong));
    let old = auth.setup_link_token().await.unwrap().unwrap();
    let token = auth.setup_link_token().await.unwrap().unwrap();
    assert_eq!(auth.setup_check(&old).await, Err(AuthError::SetUpWrong));
    // what was typed is rejected: the link stays good
    let weak = set_up(&auth, &token, "me", "weak").await.unwrap_err();
    assert!(matches!(weak, AuthError::Rejected { ref field, .. } if field == "password"));
    let odd = set_up(&auth, &token, "ｍｅ", "right one").await.unwrap_err();
    assert!(matches!(odd, AuthError::Rejected { ref field, .. } if field == "account"));
    clock.advance(15 * MINUTE);
    assert_eq!(
        set_up(&auth, &token, "me", "right one").await.unwrap_err(),
        AuthError::SetUpExpired
    );
    let token = auth.setup_link_token().await.unwrap().unwrap();
    let (one, two) = tokio::join!(
        set_up(&auth, &token, "me", "right one"),
        set_up(&auth, &token, "you", "right one")
    );
    assert!(one.is_ok() != two.is_ok(), "the link is good once");
    assert_eq!(auth.setup_check(&token).await, Err(AuthError::SetUpClosed));
    assert_eq!(auth.setup_link_token().await.unwrap(), None);
    // nor does another plugin, or a restart, or losing all users open it again
    auth.store
        .write(nexus_store::Durability::Synced, |db| db.execute("DELETE FROM user", []))
        .await
        .unwrap();
    drop(auth);
    let auth = reopen(dir.path(), Fake::default(), &clock).await;
    assert!(!auth.setup_open().await.unwrap());
}

#[tokio::test]
async fn five_wrong_ones_lock_before_the_plugin_sees_the_sixth() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, _) = owner(dir.path()).await;
    let stranger = client("s", None);
    for _ in 0..4 {
        assert_eq!(
            attempt(&auth, "owner", "wrong", &stranger).await.unwrap_err(),
            AuthError::BadCredential
        );
    }
    let until = clock.now() + millis(30 * MINUTE);
    assert_eq!(
        attempt(&auth, "OWNER", "wrong", &stranger).await.unwrap_err(),
        AuthError::Locked { until }
    );
    let seen = fake.hashed.load(Ordering::SeqCst);
    assert_eq!(
        attempt(&auth, "owner", "right one", &stranger).await.unwrap_err(),
        AuthError::Locked { until }
    );
    assert_eq!(fake.hashed.load(Ordering::SeqCst), seen);
    // it survives a restart
    drop(auth);
    let auth = reopen(dir.path(), fake.clone(), &clock).await;
    assert_eq!(
        attempt(&auth, "owner", "right one", &stranger).await.unwrap_err(),
        AuthError::Locked { until }
    );
    clock.advance(30 * MINUTE);
    attempt(&auth, "owner", "right one", &stranger).await.unwrap();
    // and the operator can end it
    for _ in 0..5 {
        attempt(&auth, "owner", "wrong", &stranger).await.unwrap_err();
    }
    assert!(auth.unlock_account("owner").await.unwrap());
    attempt(&auth, "owner", "right one", &stranger).await.unwrap();
}

#[tokio::test]
async fn strangers_and_known_devices_do_not_lock_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, _fake, login) = owner(dir.path()).await;
    let (stranger, known) = (client("s", None), client("k", Some(&login.device)));
    for _ in 0..5 {
        attempt(&auth, "owner", "wrong", &stranger).await.unwrap_err();
    }
    assert!(matches!(
        attempt(&auth, "owner", "right one", &stranger).await,
        Err(AuthError::Locked { .. })
    ));
    let again = attempt(&auth, "owner", "right one", &known).await.unwrap();
    auth.unlock_account("owner").await.unwrap();
    for _ in 0..5 {
        attempt(&auth, "owner", "wrong", &client("k", Some(&again.device)))
            .await
            .unwrap_err();
    }
    assert!(
        matches!(
            attempt(&auth, "owner", "right one", &known).await,
            Err(AuthError::Locked { .. })
        ),
        "one device"
    );
    attempt(&auth, "owner", "right one", &stranger).await.unwrap();
    // a forged cookie is a stranger's
    let mut forged = login.device.clone();
    forged.replace_range(0..1, if forged.starts_with('A') { "B" } else { "A" });
    let counter = async |account: &str, device: &str| {
        let account = Account::parse(account, "a").unwrap();
        auth.counter(&account, &client("k", Some(device))).await.unwrap()
    };
    assert!(!counter("owner", &forged).await.known);
    // and a device of one account is a stranger to another
    assert!(!counter("other", &login.device).await.known);
}

#[tokio::test]
async fn unknown_accounts_are_limited_as_known_ones_are() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, _fake, _) = owner(dir.path()).await;
    let stranger = client("s", None);
    let mut answers = Vec::new();
    for account in ["owner", "nobody"] {
        let mut of_account = Vec::new();
        for _ in 0..6 {
            of_account.push(attempt(&auth, account, "wrong", &stranger).await.unwrap_err());
        }
        answers.push(of_account);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn guesses_at_the_same_time_get_no_more_than_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, fake, _) = owner(dir.path()).await;
    let stranger = client("s", None);
    let before = fake.hashed.load(Ordering::SeqCst);
    futures::future::join_all((0..20).map(|_| attempt(&auth, "owner", "wrong", &stranger))).await;
    assert_eq!(fake.hashed.load(Ordering::SeqCst) - before, 5);
}

#[tokio::test]
async fn only_wrong_credentials_are_charged() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, fake, _) = owner(dir.path()).await;
    let who = client("b", None);
    type Case = (Result<Step, CallError>, fn(&AuthError) -> bool);
    let answers: [Case; 3] = [
        (Err(CallError::Crashed("trap".into())), |e| {
            matches!(e, AuthError::Unavailable(_))
        }),
        (
            Ok(Step::Deny(Denied {
                reason: Denial::Policy,
                message: None,
            })),
            |e| matches!(e, AuthError::Denied(_)),
        ),
        (
            Ok(Step::Identity(Identity {
                subject: "sub-unknown".into(),
                display_name: None,
            })),
            |e| matches!(e, AuthError::Denied(_)),
        ),
    ];
    for (answer, right) in answers {
        *fake.fails.lock().unwrap() = Some(answer);
        for _ in 0..6 {
            let error = attempt(&auth, "owner", "right one", &who).await.unwrap_err();
            assert!(right(&error), "{error:?}");
        }
    }
    *fake.fails.lock().unwrap() = None;
    attempt(&auth, "owner", "right one", &who).await.unwrap();
}

#[tokio::test]
async fn a_second_step_knows_its_account_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, fake, _) = owner(dir.path()).await;
    fake.codes.lock().unwrap().insert("owner".into(), "123456".into());
    let who = client("b", None);
    let second = async || {
        let first = state(&auth, &who).await;
        let typed = [("account", "owner"), ("password", "right one")];
        match send(&auth, &first, &typed, &who).await? {
            Progress::Next(Page {
                state,
                ask: Ask::Form { fields, .. },
                ..
            }) => {
                assert_eq!(fields[0].name, "code");
                Ok(state)
            }
            other => panic!("{other:?}"),
        }
    };
    let step = second().await.unwrap();
    assert!(matches!(
        send(&auth, &step, &[("code", "123456")], &who).await.unwrap(),
        Progress::Done(_)
    ));
    assert_eq!(
        send(&auth, &step, &[("code", "123456")], &who).await.unwrap_err(),
        AuthError::Expired,
        "used"
    );
    let elsewhere = second().await.unwrap();
    let error = send(&auth, &elsewhere, &[("code", "123456")], &client("another", None))
        .await
        .unwrap_err();
    assert_eq!(error, AuthError::Expired);
    // who has the password cannot try codes for ever
    for _ in 0..5 {
        let step = second().await.unwrap();
        send(&auth, &step, &[("code", "000000")], &who).await.unwrap_err();
    }
    assert!(matches!(second().await, Err(AuthError::Locked { .. })));
}

#[tokio::test]
async fn sessions_expire_idle_and_absolutely() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, login) = owner(dir.path()).await;
    let day = 24 * 60 * MINUTE;
    assert!(auth.authenticate("loopback", "", "guess").await.unwrap().is_none());
    assert!(auth.is_fresh(&login.login, 5 * MINUTE));
    clock.advance(5 * MINUTE);
    assert!(!auth.is_fresh(&login.login, 5 * MINUTE));
    for _ in 0..8 {
        clock.advance(11 * day);
        assert!(
            auth.authenticate("loopback", "", &login.token).await.unwrap().is_some(),
            "used every 11 days"
        );
    }
    clock.advance(3 * day);
    assert!(
        auth.authenticate("loopback", "", &login.token).await.unwrap().is_none(),
        "90 days"
    );
    let login = attempt(&auth, "owner", "right one", &client("b", None)).await.unwrap();
    drop(auth);
    let auth = reopen(dir.path(), fake, &clock).await;
    assert!(
        auth.authenticate("loopback", "", &login.token).await.unwrap().is_some(),
        "survives a restart"
    );
    clock.advance(14 * day);
    assert!(
        auth.authenticate("loopback", "", &login.token).await.unwrap().is_none(),
        "14 days without use"
    );
}

#[tokio::test]
async fn revoking_closes_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, _fake, first) = owner(dir.path()).await;
    let second = attempt(&auth, "owner", "right one", &client("b", None)).await.unwrap();
    let third = attempt(&auth, "owner", "right one", &client("b", None)).await.unwrap();
    assert_eq!(auth.logins(&first.login).await.unwrap().len(), 3);
    let (closed, done) = tokio::join!(auth.revoked(&second.login.id), async {
        auth.logout(&second.login).await
    });
    assert_eq!((closed, done), ((), Ok(())));
    assert!(
        auth.authenticate("loopback", "", &second.token)
            .await
            .unwrap()
            .is_none()
    );
    let ((), done) = tokio::join!(auth.revoked(&third.login.id), async {
        auth.revoke(&first.login, Which::AllBut(first.login.id.clone())).await
    });
    done.unwrap();
    assert!(auth.authenticate("loopback", "", &first.token).await.unwrap().is_some());
    auth.revoked(&third.login.id).await; // who asks late is told too
}

#[tokio::test]
async fn a_login_is_good_where_it_was_made_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _, local) = owner(dir.path()).await;
    let through = Client {
        place: "tunnel main".into(),
        ..client("b", None)
    };
    let tunnel = attempt(&auth, "owner", "right one", &through).await.unwrap();
    for (token, place, good) in [
        (&local.token, "loopback", true),
        (&local.token, "tunnel main", false),
        (&local.token, "host chat.example", false),
        (&local.token, "", false),
        (&tunnel.token, "tunnel main", true),
        (&tunnel.token, "tunnel other", false),
        (&tunnel.token, "loopback", false),
    ] {
        assert_eq!(
            auth.authenticate(place, "", token).await.unwrap().is_some(),
            good,
            "{place:?}"
        );
    }
}

#[tokio::test]
async fn a_login_is_good_for_the_programs_of_whoever_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _, unknown) = owner(dir.path()).await;
    let mine = Client {
        holder: "user 1000".into(),
        ..client("b", None)
    };
    let mine = attempt(&auth, "owner", "right one", &mine).await.unwrap();
    for (token, holder, good) in [
        (&mine.token, "user 1000", true),
        (&mine.token, "user 1001", false),
        (&mine.token, "", false),
        (&unknown.token, "", true),
        (&unknown.token, "user 1000", false),
    ] {
        let login = auth.authenticate("loopback", holder, token).await.unwrap();
        assert_eq!(login.is_some(), good, "{holder:?}");
    }
}

#[tokio::test]
async fn another_process_ends_logins_too() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, login) = owner(dir.path()).await;
    let command = reopen(dir.path(), fake, &clock).await; // beside the running one
    assert!(reset(&command, "owner", "another one").await.unwrap());
    assert!(auth.authenticate("loopback", "", &login.token).await.unwrap().is_none());
    assert_eq!(
        attempt(&auth, "owner", "right one", &client("b", None))
            .await
            .unwrap_err(),
        AuthError::BadCredential
    );
    attempt(&auth, "owner", "another one", &client("b", None))
        .await
        .unwrap();
}

#[tokio::test]
async fn changing_the_password_ends_the_other_logins() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, _fake, first) = owner(dir.path()).await;
    let who = client("b", None);
    let second = attempt(&auth, "owner", "right one", &who).await.unwrap();
    for _ in 0..4 {
        let error = change(&auth, &first.login, "wrong", "another one", &who)
            .await
            .unwrap_err();
        assert_eq!(error, AuthError::BadCredential);
    }
    let changed = change(&auth, &first.login, "right one", "another one", &who).await;
    assert!(matches!(changed, Ok(Progress::Changed)));
    assert!(auth.authenticate("loopback", "", &first.token).await.unwrap().is_some());
    assert!(
        auth.authenticate("loopback", "", &second.token)
            .await
            .unwrap()
            .is_none()
    );
    attempt(&auth, "owner", "another one", &who).await.unwrap();
    for _ in 0..5 {
        change(&auth, &first.login, "wrong", "another one", &who)
            .await
            .unwrap_err();
    }
    let locked = change(&auth, &first.login, "another one", "a third one", &who)
        .await
        .unwrap_err();
    assert!(matches!(locked, AuthError::Locked { .. }));
}

#[tokio::test]
async fn the_csrf_token_is_of_one_session() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _clock, _fake, first) = owner(dir.path()).await;
    let second = attempt(&auth, "owner", "right one", &client("b", None)).await.unwrap();
    let token = auth.csrf_token(&first.login);
    assert_eq!(auth.csrf_token(&first.login), token);
    assert_ne!(auth.csrf_token(&second.login), token);
}
