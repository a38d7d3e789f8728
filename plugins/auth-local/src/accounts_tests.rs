use super::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

const GOOD: &str = "a yellow submarine";
const OTHER: &str = "a purple submarine";

type Entry = (String, Vec<u8>);

/// `Memory` is a store in memory. `rival` is written just before the next compare-and-set, as another instance would.
#[derive(Clone, Default)]
struct Memory {
    map: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    rival: Rc<RefCell<Option<Entry>>>,
}

impl Store for Memory {
    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.map.borrow().get(&key).cloned())
    }
    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        self.map.borrow_mut().insert(key, value);
        Ok(())
    }
    async fn delete(&self, key: String) -> Result<(), Error> {
        self.map.borrow_mut().remove(&key);
        Ok(())
    }
    async fn compare_and_set(&self, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> Result<bool, Error> {
        if let Some((key, value)) = self.rival.borrow_mut().take() {
            self.map.borrow_mut().insert(key, value);
        }
        let same = self.map.borrow().get(&key) == expected.as_ref();
        if same {
            self.map.borrow_mut().insert(key, value);
        }
        Ok(same)
    }
}

/// `now` is the value of a future that never waits.
fn now<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the in-memory store waited"),
    }
}

fn cheap() -> Params {
    Params::new(64, 1, 1, None).unwrap()
}

fn fresh() -> (Memory, Accounts<Memory>) {
    let memory = Memory::default();
    (memory.clone(), Accounts::new(memory, cheap()))
}

fn input(fields: &[(&str, &str)]) -> Vec<Value> {
    fields
        .iter()
        .map(|(name, value)| Value {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect()
}

fn twice(password: &str) -> Vec<Value> {
    input(&[(PASSWORD, password), (REPEAT, password)])
}

fn enrolled(accounts: &Accounts<Memory>, account: &str) -> String {
    match now(accounts.enroll(account, &twice(GOOD))).unwrap() {
        Outcome::Done(subject) => subject,
        other => panic!("{other:?}"),
    }
}

fn rejection(outcome: Result<Outcome, Error>) -> (&'static str, String) {
    match outcome.unwrap() {
        Outcome::Rejected(field, why) => (field, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_enrolled_account_logs_in_with_its_password_only() {
    let (_, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    assert_eq!(subject.len(), 32);
    assert_eq!(now(accounts.login("owner", GOOD)).unwrap(), Some(subject));
    assert_eq!(now(accounts.login("owner", OTHER)).unwrap(), None);
    assert_eq!(now(accounts.login("owner", "")).unwrap(), None);
    assert_eq!(now(accounts.login("nobody", GOOD)).unwrap(), None);
    assert_eq!(now(accounts.login("", GOOD)).unwrap(), None);
    assert_eq!(now(accounts.login(&"x".repeat(5000), GOOD)).unwrap(), None);
}

#[test]
fn the_store_never_holds_the_password() {
    let (memory, accounts) = fresh();
    enrolled(&accounts, "owner");
    for value in memory.map.borrow().values() {
        assert!(!String::from_utf8_lossy(value).contains(GOOD));
    }
}

#[test]
fn an_account_is_enrolled_once() {
    let (memory, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    let (field, why) = rejection(now(accounts.enroll("owner", &twice(OTHER))));
    assert_eq!(field, ACCOUNT);
    assert!(why.contains("already"));
    assert_eq!(now(accounts.login("owner", GOOD)).unwrap(), Some(subject));
    assert_eq!(memory.map.borrow().len(), 2);
}

#[test]
fn of_two_enrollments_at_the_same_time_one_wins_and_the_other_leaves_nothing() {
    let (memory, accounts) = fresh();
    *memory.rival.borrow_mut() = Some(("account/owner".to_owned(), b"rival".to_vec()));
    assert_eq!(rejection(now(accounts.enroll("owner", &twice(GOOD)))).0, ACCOUNT);
    assert_eq!(memory.map.borrow().keys().collect::<Vec<_>>(), ["account/owner"]);
}

#[test]
fn enrolling_says_which_field_is_wrong() {
    let (memory, accounts) = fresh();
    assert_eq!(rejection(now(accounts.enroll("owner", &twice("short")))).0, PASSWORD);
    assert_eq!(
        rejection(now(
            accounts.enroll("owner", &input(&[(PASSWORD, GOOD), (REPEAT, OTHER)]))
        ))
        .0,
        REPEAT
    );
    assert_eq!(
        rejection(now(accounts.enroll("owner", &input(&[(PASSWORD, GOOD)])))).0,
        REPEAT
    );
    assert_eq!(rejection(now(accounts.enroll("owner", &[]))).0, PASSWORD);
    assert_eq!(rejection(now(accounts.enroll("", &twice(GOOD)))).0, ACCOUNT);
    assert!(memory.map.borrow().is_empty());
}

#[test]
fn a_change_needs_the_present_password() {
    let (_, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    let wrong = input(&[(CURRENT, OTHER), (NEW, OTHER), (REPEAT, OTHER)]);
    assert_eq!(now(accounts.change(&subject, &wrong)).unwrap(), Outcome::BadCredential);
    assert_eq!(
        now(accounts.change(&subject, &twice(OTHER))).unwrap(),
        Outcome::BadCredential
    );
    assert_eq!(now(accounts.login("owner", GOOD)).unwrap(), Some(subject.clone()));

    let right = input(&[(CURRENT, GOOD), (NEW, OTHER), (REPEAT, OTHER)]);
    assert_eq!(
        now(accounts.change(&subject, &right)).unwrap(),
        Outcome::Done(subject.clone())
    );
    assert_eq!(now(accounts.login("owner", GOOD)).unwrap(), None);
    assert_eq!(now(accounts.login("owner", OTHER)).unwrap(), Some(subject));
}

#[test]
fn a_change_takes_the_fields_of_an_enrollment_too() {
    let (_, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    let fields = input(&[(CURRENT, GOOD), (PASSWORD, OTHER), (REPEAT, OTHER)]);
    assert_eq!(now(accounts.change(&subject, &fields)).unwrap(), Outcome::Done(subject));
}

#[test]
fn a_wrong_present_password_hides_what_is_wrong_with_the_new_one() {
    let (_, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    let fields = input(&[(CURRENT, OTHER), (NEW, "short"), (REPEAT, "short")]);
    assert_eq!(now(accounts.change(&subject, &fields)).unwrap(), Outcome::BadCredential);
    let same = input(&[(CURRENT, GOOD), (NEW, GOOD), (REPEAT, GOOD)]);
    assert_eq!(rejection(now(accounts.change(&subject, &same))).0, NEW);
}

#[test]
fn a_change_that_meets_another_one_is_not_lost() {
    let (memory, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    *memory.rival.borrow_mut() = Some((format!("subject/{subject}"), b"theirs".to_vec()));
    let fields = input(&[(CURRENT, GOOD), (NEW, OTHER), (REPEAT, OTHER)]);
    assert!(matches!(
        now(accounts.change(&subject, &fields)),
        Err(Error::Unavailable(_))
    ));
    assert_eq!(memory.map.borrow()[&format!("subject/{subject}")], b"theirs");
}

#[test]
fn a_reset_needs_no_password_and_keeps_the_rules() {
    let (_, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    assert_eq!(rejection(now(accounts.reset(&subject, &twice("owner")))).0, PASSWORD);
    assert_eq!(
        now(accounts.reset(&subject, &twice(OTHER))).unwrap(),
        Outcome::Done(subject.clone())
    );
    assert_eq!(now(accounts.login("owner", OTHER)).unwrap(), Some(subject));
    assert!(matches!(
        now(accounts.reset("nobody", &twice(OTHER))),
        Err(Error::NotFound(_))
    ));
}

#[test]
fn a_removed_account_is_gone_and_its_name_is_free() {
    let (memory, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    now(accounts.remove(&subject)).unwrap();
    assert!(memory.map.borrow().is_empty());
    assert_eq!(now(accounts.login("owner", GOOD)).unwrap(), None);
    assert_ne!(enrolled(&accounts, "owner"), subject);
    assert!(matches!(now(accounts.remove(&subject)), Err(Error::NotFound(_))));
}

#[test]
fn other_parameters_replace_the_hash_at_the_next_login() {
    let (memory, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    let stronger = Accounts::new(memory.clone(), Params::new(128, 2, 1, None).unwrap());
    assert_eq!(now(stronger.login("owner", OTHER)).unwrap(), None);
    let kept = |memory: &Memory| String::from_utf8(memory.map.borrow()[&format!("subject/{subject}")].clone()).unwrap();
    assert!(kept(&memory).contains("m=64,t=1"));
    assert_eq!(now(stronger.login("owner", GOOD)).unwrap(), Some(subject.clone()));
    assert!(kept(&memory).contains("m=128,t=2"));
    assert_eq!(now(stronger.login("owner", GOOD)).unwrap(), Some(subject.clone()));
}

#[test]
fn a_damaged_store_is_an_error_and_not_a_wrong_password() {
    let (memory, accounts) = fresh();
    let subject = enrolled(&accounts, "owner");
    memory
        .map
        .borrow_mut()
        .insert(format!("subject/{subject}"), b"{}".to_vec());
    assert!(matches!(now(accounts.login("owner", GOOD)), Err(Error::Other(_))));
    memory.map.borrow_mut().remove(&format!("subject/{subject}"));
    assert!(matches!(now(accounts.login("owner", GOOD)), Err(Error::Other(_))));
}
