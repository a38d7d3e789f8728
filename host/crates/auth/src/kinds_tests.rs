//! What the host promises of each kind of login, whatever the plugin does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::testing::{Fake, reopen, service};
use super::tests::{add, attempt, client, input, owner, reset, send, state};
use super::*;
use nexus_model::limits::{
    ACCOUNT_DEVICES, ACCOUNT_LOGINS, AMBIENT_BYTES, BEARER_BYTES, BEARERS_KNOWN, LOGIN_STEP, LOGIN_STEPS, SETUP_LINK,
    WEBAUTHN_ANSWER,
};
use nexus_model::time::Clock as _;
use nexus_plugin_traits::auth::{Answer, Ask, Ceremony, Denial, Denied, Route, Step};
use nexus_store::logins::Login;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn asks(ask: Ask) -> Step {
    Step::Ask {
        ask,
        state: b"kept".to_vec(),
    }
}

fn redirect() -> Ask {
    Ask::Redirect {
        url: "https://login.example/authorize?client_id=x".to_owned(),
    }
}

/// A login whose second step is this.
async fn second(auth: &Arc<AuthService>, fake: &Fake, ask: Ask, who: &Client) -> Page {
    let first = state(auth, who).await;
    *fake.fails.lock().unwrap() = Some(Ok(asks(ask)));
    let typed = [("account", "owner"), ("password", "right one")];
    let Progress::Next(page) = send(auth, &first, &typed, who).await.unwrap() else {
        panic!("it asks for more")
    };
    *fake.fails.lock().unwrap() = Some(Ok(Step::Identity(nexus_plugin_traits::auth::Identity {
        subject: "sub-owner".into(),
        display_name: None,
    })));
    page
}

fn returned() -> Answer {
    Answer::Redirect(vec![("code".to_owned(), "c".to_owned())])
}

#[tokio::test]
async fn a_redirect_comes_back_once_to_its_browser_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, _) = owner(dir.path()).await;
    let (who, other) = (client("b", None), client("another", None));
    let through = Client {
        place: "tunnel main".into(),
        ..client("b", None)
    };
    let page = second(&auth, &fake, redirect(), &who).await;
    let Ask::Redirect { url } = &page.ask else {
        panic!("{page:?}")
    };
    assert_eq!(
        *url,
        format!("https://login.example/authorize?client_id=x&state={}", page.state)
    );
    assert!(
        page.state
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    );
    let come_back = async |client: &Client| auth.proceed(&page.state, returned(), client, None).await;
    for stranger in [&other, &through] {
        assert_eq!(come_back(stranger).await.unwrap_err(), AuthError::Expired);
    }
    assert!(matches!(come_back(&who).await, Ok(Progress::Done(_))));
    assert_eq!(come_back(&who).await.unwrap_err(), AuthError::Expired, "used");
    let page = second(&auth, &fake, redirect(), &who).await;
    clock.advance(LOGIN_STEP);
    let late = auth.proceed(&page.state, returned(), &who, None).await;
    assert_eq!(late.unwrap_err(), AuthError::Expired);
    // Nobody began this.
    let made_up = auth.proceed("AAAA", returned(), &who, None).await;
    assert_eq!(made_up.unwrap_err(), AuthError::Expired);
}

#[tokio::test]
async fn an_answer_of_another_kind_or_without_an_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, fake, _) = owner(dir.path()).await;
    let who = client("b", None);
    let webauthn = || Ask::Webauthn {
        ceremony: Ceremony::Get,
        options: "{}".to_owned(),
    };
    let form = || Ask::Form {
        fields: Vec::new(),
        problem: None,
    };
    let typed = || Answer::Form(input(&[("nobody", "asked")]));
    let touched = |n: usize| Answer::Webauthn("x".repeat(n));
    let wrong = [
        (redirect(), vec![typed(), touched(1)]),
        (webauthn(), vec![typed(), returned(), touched(WEBAUTHN_ANSWER + 1)]),
        (form(), vec![returned(), touched(1)]),
    ];
    for (ask, answers) in wrong {
        let page = second(&auth, &fake, ask, &who).await;
        for answer in answers {
            let refused = auth.proceed(&page.state, answer, &who, None).await;
            assert_eq!(refused.unwrap_err(), AuthError::Expired);
        }
    }
    let page = second(&auth, &fake, webauthn(), &who).await;
    let right = auth.proceed(&page.state, touched(WEBAUTHN_ANSWER), &who, None).await;
    assert!(matches!(right, Ok(Progress::Done(_))));
}

#[tokio::test]
async fn a_login_without_an_end_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, fake, _) = owner(dir.path()).await;
    let who = client("b", None);
    let again = Ask::Form {
        fields: Vec::new(),
        problem: None,
    };
    *fake.fails.lock().unwrap() = Some(Ok(asks(again)));
    let mut state = state(&auth, &who).await;
    let mut steps = 1;
    let error = loop {
        match send(&auth, &state, &[("account", "owner")], &who).await {
            Ok(Progress::Next(page)) => state = page.state,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        steps += 1;
    };
    assert_eq!(steps, LOGIN_STEPS);
    assert!(error.to_string().contains("more than 16 steps"), "{error}");
}

#[tokio::test]
async fn a_change_is_for_the_login_that_began_it() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _, first) = owner(dir.path()).await;
    let who = client("b", None);
    let second = attempt(&auth, "owner", "right one", &who).await.unwrap();
    let page = auth.change(&first.login, &who).await.unwrap().unwrap();
    let answer = || Answer::Form(input(&[("current", "right one"), ("password", "another one")]));
    for login in [None, Some(&second.login)] {
        let refused = auth.proceed(&page.state, answer(), &who, login).await;
        assert_eq!(refused.unwrap_err(), AuthError::Expired);
    }
    let changed = auth.proceed(&page.state, answer(), &who, Some(&first.login)).await;
    assert!(matches!(changed, Ok(Progress::Changed)));
}

#[tokio::test]
async fn a_change_is_asked_for_by_no_other_form() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _, first) = owner(dir.path()).await;
    let who = client("b", None);
    let login = state(&auth, &who).await;
    let typed = || Answer::Form(input(&[("account", "owner"), ("password", "right one")]));
    let refused = auth.proceed_changing(&login, typed(), &who, &first.login).await;
    assert_eq!(refused.unwrap_err(), AuthError::Expired);
    assert_eq!(auth.logins(&first.login).await.unwrap().len(), 1, "it made no login");
    let done = auth.proceed(&login, typed(), &who, None).await;
    assert!(matches!(done, Ok(Progress::Done(_))), "it was not used up");
    let page = auth.change(&first.login, &who).await.unwrap().unwrap();
    let answer = Answer::Form(input(&[("current", "right one"), ("password", "another one")]));
    let changed = auth.proceed_changing(&page.state, answer, &who, &first.login).await;
    assert_eq!(changed, Ok(None));
}

/// One try of a passkey: nobody is named before the plugin answers.
async fn touch(auth: &Arc<AuthService>, fake: &Fake, right: bool, who: &Client) -> Result<Progress, AuthError> {
    *fake.begins.lock().unwrap() = Some(asks(Ask::Webauthn {
        ceremony: Ceremony::Get,
        options: "{}".to_owned(),
    }));
    let page = auth.begin_login(None, who).await.unwrap();
    *fake.fails.lock().unwrap() = Some(Ok(match right {
        true => Step::Identity(nexus_plugin_traits::auth::Identity {
            subject: "sub-owner".into(),
            display_name: None,
        }),
        false => Step::Deny(Denied {
            reason: Denial::BadCredential,
            message: None,
        }),
    }));
    auth.proceed(&page.state, Answer::Webauthn("x".to_owned()), who, None)
        .await
}

#[tokio::test]
async fn a_stranger_locks_a_login_without_a_name_for_strangers_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, fake, first) = owner(dir.path()).await;
    let (stranger, mine) = (client("s", None), client("k", Some(&first.device)));
    for n in 1..=5 {
        // The neighbours of an address count together.
        let near = Client {
            peer: format!("192.0.2.{n}"),
            ..stranger.clone()
        };
        touch(&auth, &fake, false, &near).await.unwrap_err();
    }
    let locked = |tried: Result<Progress, AuthError>| matches!(tried, Err(AuthError::Locked { .. }));
    assert!(locked(touch(&auth, &fake, true, &stranger).await));
    let Ok(Progress::Done(made)) = touch(&auth, &fake, true, &mine).await else {
        panic!("a known device is counted by itself")
    };
    assert_eq!(made.login.device, first.login.device);
    for _ in 0..5 {
        touch(&auth, &fake, false, &mine).await.unwrap_err();
    }
    assert!(
        locked(touch(&auth, &fake, true, &mine).await),
        "a lost device locks itself"
    );
    assert!(auth.unlock_account("owner").await.unwrap());
    for who in [&stranger, &mine] {
        assert!(matches!(touch(&auth, &fake, true, who).await, Ok(Progress::Done(_))));
    }
    assert!(!auth.unlock_account("owner").await.unwrap());
}

#[tokio::test]
async fn an_account_has_so_many_logins_and_devices() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, _, first) = owner(dir.path()).await;
    let mut revoked = auth.revoked.subscribe();
    let mut last = None;
    for _ in 1..=ACCOUNT_LOGINS.max(ACCOUNT_DEVICES) {
        clock.advance(Duration::from_secs(1));
        last = Some(attempt(&auth, "owner", "right one", &client("b", None)).await.unwrap());
    }
    let last = last.unwrap().login;
    let kept = auth.logins(&last).await.unwrap();
    assert_eq!(kept.len(), usize::try_from(ACCOUNT_LOGINS).unwrap());
    assert!(kept.iter().any(|login| login.id == last.id));
    assert!(
        kept.iter().all(|login| login.id != first.login.id),
        "the oldest is gone"
    );
    assert_eq!(revoked.recv().await.unwrap(), first.login.id);
    let devices = auth.store.devices().await.unwrap();
    assert_eq!(devices.len(), usize::try_from(ACCOUNT_DEVICES).unwrap());
    assert!(devices.iter().all(|device| device.id != first.login.device));
}

async fn core(dir: &std::path::Path) -> (Arc<AuthService>, nexus_model::time::ManualClock, Fake) {
    let fake = Fake::default();
    fake.core_only.store(true, Ordering::SeqCst);
    fake.passwords
        .lock()
        .unwrap()
        .insert("sub-ann".to_owned(), "ann's own".to_owned());
    let (auth, clock) = service(dir, fake.clone()).await;
    (auth, clock, fake)
}

/// Goes on with a link, then logs in by the plugin's own form.
async fn bind(auth: &Arc<AuthService>, token: &str, account: &str, password: &str) -> Result<NewLogin, AuthError> {
    let who = client("b", None);
    let arrival = arrival(Route::Loopback, &[]);
    let how = Joiner::Method("password", &arrival);
    let Progress::Next(page) = auth.join(token, account, how, &who).await? else {
        panic!("the form comes first")
    };
    assert!(!page.of_link);
    match send(auth, &page.state, &[("account", "ann"), ("password", password)], &who).await? {
        Progress::Done(login) => Ok(login),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_the_optional_interface_a_login_is_bound_to_the_account_of_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake) = core(dir.path()).await;
    let who = client("b", None);
    // Somebody whom the plugin knows is nobody here, and hears what is to be done.
    let unknown = attempt(&auth, "ann", "ann's own", &who).await.unwrap_err();
    assert!(
        unknown.to_string().contains("nexus user bind NAME --subject sub-ann"),
        "{unknown}"
    );
    assert!(auth.accounts().await.unwrap().is_empty());
    let token = auth.setup_link_token().await.unwrap().unwrap();
    let methods = vec![("password".to_owned(), "Password".to_owned())];
    assert_eq!(auth.joining(&who).await.unwrap(), Joining::Bind(methods));
    assert_eq!(
        bind(&auth, "guess", "Boss", "x").await.unwrap_err(),
        AuthError::SetUpWrong
    );
    for _ in 0..4 {
        assert_eq!(
            bind(&auth, &token, "boss", "wrong").await.unwrap_err(),
            AuthError::BadCredential
        );
    }
    // Who has a link is counted too.
    assert!(matches!(
        bind(&auth, &token, "boss", "wrong").await,
        Err(AuthError::Locked { .. })
    ));
    // The name that was typed is counted too, wherever it is typed.
    let here = attempt(&auth, "ann", "ann's own", &who).await;
    assert!(matches!(here, Err(AuthError::Locked { .. })));
    auth.store.unlock("ann", clock.now()).await.unwrap();
    for _ in 0..4 {
        attempt(&auth, "ann", "wrong", &who).await.unwrap_err();
    }
    assert!(matches!(
        bind(&auth, &token, "boss", "wrong").await,
        Err(AuthError::Locked { .. })
    ));
    let by_link = bind(&auth, &token, "boss", "ann's own").await;
    assert!(matches!(by_link, Err(AuthError::Locked { .. })));
    clock.advance(Duration::from_secs(30 * 60));
    let token = auth.setup_link_token().await.unwrap().unwrap();
    let made = bind(&auth, &token, "Boss", "ann's own").await.unwrap();
    assert_eq!(made.login.user.account, "boss");
    assert_eq!(
        bind(&auth, &token, "other", "ann's own").await.unwrap_err(),
        AuthError::SetUpClosed
    );
    // By the name that the plugin knows, to the account that the host knows.
    let login = attempt(&auth, "ann", "ann's own", &who).await.unwrap();
    assert_eq!(login.login.user.account, "boss");
    // No subject is two accounts'.
    let taken = auth.bind_subject("other", "sub-ann").await.unwrap_err();
    assert!(taken.to_string().contains("belongs to another account"), "{taken}");
    auth.bind_subject("other", "sub-bob").await.unwrap();
    fake.passwords
        .lock()
        .unwrap()
        .insert("sub-bob".to_owned(), "bob's own".to_owned());
    let login = attempt(&auth, "bob", "bob's own", &who).await.unwrap();
    assert_eq!(login.login.user.account, "other");
    // Bound to somebody else, the account is theirs alone.
    auth.bind_subject("other", "sub-eve").await.unwrap();
    assert!(auth.login_by_id(&login.login.id).await.unwrap().is_none());
    attempt(&auth, "bob", "bob's own", &who).await.unwrap_err();
    for odd in ["", "a\nb", &"s".repeat(513)] {
        assert!(auth.bind_subject("other", odd).await.is_err(), "{odd:?}");
    }
    assert!(auth.change(&made.login, &who).await.unwrap().is_none());
}

#[tokio::test]
async fn an_invitation_is_for_one_account_and_one_use() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, mine) = owner(dir.path()).await;
    // `nexus user add` beside the running host.
    let command = reopen(dir.path(), fake.clone(), &clock).await;
    assert!(!auth.invitation_open().await.unwrap());
    let old = command.invite("Guest").await.unwrap();
    let token = command.invite("guest").await.unwrap();
    assert!(auth.invitation_open().await.unwrap());
    let join = async |token: &str, account: &str| super::tests::set_up(&auth, token, account, "a guest's one").await;
    assert_eq!(join(&old, "guest").await.unwrap_err(), AuthError::SetUpWrong);
    // What is typed does not choose the account.
    let made = join(&token, "owner").await.unwrap();
    assert_eq!(made.login.user.account, "guest");
    assert!(!auth.invitation_open().await.unwrap());
    assert_eq!(join(&token, "again").await.unwrap_err(), AuthError::SetUpClosed);
    let late = command.invite("late").await.unwrap();
    clock.advance(SETUP_LINK);
    assert_eq!(join(&late, "late").await.unwrap_err(), AuthError::SetUpExpired);
    // Of an account that exists, all that was good before is no more.
    let token = command.invite("owner").await.unwrap();
    let again = join(&token, "").await.unwrap();
    assert_eq!(again.login.user, mine.login.user);
    assert!(auth.login_by_id(&mine.login.id).await.unwrap().is_none());
    assert!(reset(&auth, "owner", "a third one").await.unwrap());
}

#[tokio::test]
async fn a_link_is_worth_nothing_after_the_operator_decides_about_its_account() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _, _) = owner(dir.path()).await;
    let open = async || auth.invitation_open().await.unwrap();
    let invited = async |account: &str| {
        let token = auth.invite(account).await.unwrap();
        assert!(open().await);
        token
    };
    let joins = async |token: &str| super::tests::set_up(&auth, token, "", "a guest's one").await;
    let token = invited("owner").await;
    assert!(reset(&auth, "owner", "a third one").await.unwrap());
    assert_eq!(joins(&token).await.unwrap_err(), AuthError::SetUpClosed);
    let token = invited("guest").await;
    assert!(add(&auth, "guest", "a guest's own").await.unwrap());
    assert_eq!(joins(&token).await.unwrap_err(), AuthError::SetUpClosed);
    let token = invited("guest").await;
    auth.bind_subject("guest", "sub-other").await.unwrap();
    assert_eq!(joins(&token).await.unwrap_err(), AuthError::SetUpClosed);
    let token = invited("guest").await;
    auth.remove_account("guest", false).await.unwrap();
    assert_eq!(joins(&token).await.unwrap_err(), AuthError::SetUpClosed);
    // That of another account stays.
    let token = invited("late").await;
    assert!(reset(&auth, "owner", "a fourth one").await.unwrap());
    assert_eq!(joins(&token).await.unwrap().login.user.account, "late");
}

fn arrival(route: Route, headers: &[(&str, &str)]) -> Arrival {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Arrival {
        route,
        peer: "127.0.0.1".to_owned(),
        peer_user: Some(33),
        header: Box::new(move |name: &str| {
            let values = headers.iter().filter(|(header, _)| header == name);
            values.map(|(_, value)| value.clone()).collect()
        }),
    }
}

#[tokio::test]
async fn an_ambient_method_gets_its_own_headers_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_, _, fake, _) = owner(dir.path()).await;
    fake.behind_proxy.store(true, Ordering::SeqCst);
    let auth = reopen(
        dir.path(),
        fake.clone(),
        &nexus_model::time::ManualClock::at(1_700_000_000_000),
    )
    .await;
    let who = client("p", None);
    let [method] = &auth.ambient_methods().await.unwrap()[..] else {
        panic!("it has one")
    };
    let name = || Route::Name("chat.example".to_owned());
    let ask = async |route: Route, headers: &[(&str, &str)]| {
        let arrival = arrival(route, headers);
        auth.ambient(method, &arrival, &who).await
    };
    let headers = [("x-user", "owner"), ("cookie", "secret"), ("x-other", "x")];
    let made = ask(name(), &headers).await.unwrap().unwrap();
    assert_eq!(made.login.user.account, "owner");
    let seen = fake.seen.lock().unwrap().last().unwrap().clone();
    assert_eq!(seen.headers, [("x-user".to_owned(), "owner".to_owned())]);
    assert_eq!((seen.peer_user, seen.token), (Some(33), None));
    // The route is a fact of the socket, and the plugin hears it.
    for forged in [Route::Loopback, Route::Tunnel("main".to_owned())] {
        assert!(ask(forged, &headers).await.unwrap().is_none());
    }
    assert!(ask(name(), &[("x-other", "owner")]).await.unwrap().is_none());
    let unknown = ask(name(), &[("x-user", "eve")]).await.unwrap_err();
    assert!(unknown.to_string().contains("--subject sub-eve"), "{unknown}");
    let before = fake.seen.lock().unwrap().len();
    let long = "x".repeat(AMBIENT_BYTES);
    assert!(ask(name(), &[("x-user", &long)]).await.unwrap().is_none());
    assert_eq!(fake.seen.lock().unwrap().len(), before, "the plugin is not asked");
}

#[tokio::test]
async fn a_wrong_token_locks_its_address_and_not_a_token_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, clock, fake, _) = owner(dir.path()).await;
    fake.tokens
        .lock()
        .unwrap()
        .insert("right".to_owned(), "sub-owner".to_owned());
    let auth = {
        drop(auth);
        reopen(dir.path(), fake.clone(), &clock).await
    };
    assert!(auth.takes_tokens().await.unwrap());
    let who = client("p", None);
    let ask = async |token: &str, who: &Client| auth.bearer(token, &arrival(Route::Loopback, &[]), who).await;
    let session = ask("right", &who).await.unwrap().unwrap();
    assert_eq!(session.account(), "owner");
    // It is no login of just now, and none that is kept.
    assert!(!auth.recently_checked(&session.login));
    assert!(
        auth.logins(&session.login)
            .await
            .unwrap()
            .iter()
            .all(|login: &Login| login.id != session.id())
    );
    for _ in 0..4 {
        assert_eq!(ask("wrong", &who).await.unwrap_err(), AuthError::BadCredential);
    }
    assert!(matches!(ask("wrong", &who).await, Err(AuthError::Locked { .. })));
    let asked = fake.seen.lock().unwrap().len();
    assert!(matches!(ask("wrong", &who).await, Err(AuthError::Locked { .. })));
    assert_eq!(fake.seen.lock().unwrap().len(), asked, "nothing is checked any more");
    ask("right", &who)
        .await
        .unwrap()
        .expect("it is known, and counted by itself");
    attempt(&auth, "owner", "right one", &who)
        .await
        .expect("other ways are not locked");
    // Who has one address has its neighbours too.
    let near = Client {
        peer: "192.0.2.8".into(),
        ..client("p", None)
    };
    assert!(matches!(ask("wrong", &near).await, Err(AuthError::Locked { .. })));
    let elsewhere = Client {
        peer: "198.51.100.8".into(),
        ..client("p", None)
    };
    assert_eq!(ask("wrong", &elsewhere).await.unwrap_err(), AuthError::BadCredential);
    // What cannot be a token is wrong, and the plugin does not see it.
    let asked = fake.seen.lock().unwrap().len();
    for odd in ["", "a b", "ä", &"x".repeat(BEARER_BYTES + 1)] {
        clock.advance(Duration::from_secs(31 * 60));
        assert_eq!(ask(odd, &elsewhere).await.unwrap_err(), AuthError::BadCredential);
    }
    assert_eq!(fake.seen.lock().unwrap().len(), asked);
    let longest = "x".repeat(BEARER_BYTES);
    ask(&longest, &elsewhere).await.unwrap_err();
    assert_eq!(fake.seen.lock().unwrap().len(), asked + 1);
    // One that is taken back is wrong at once; one whose user is gone is nobody's.
    fake.tokens.lock().unwrap().clear();
    assert_eq!(ask("right", &elsewhere).await.unwrap_err(), AuthError::BadCredential);
    for n in 0..=BEARERS_KNOWN {
        fake.tokens
            .lock()
            .unwrap()
            .insert(format!("t{n}"), "sub-owner".to_owned());
        ask(&format!("t{n}"), &elsewhere).await.unwrap().unwrap();
    }
    assert_eq!(auth.known_tokens.len(), BEARERS_KNOWN);
    auth.remove_account("owner", true).await.unwrap();
    assert!(matches!(ask("t1", &elsewhere).await, Err(AuthError::Denied(_))));
}
