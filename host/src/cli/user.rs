//! `nexus user …`: accounts, from the machine itself. Works while the host runs and while it does not: both read the same
//! database at each check. A password comes from the terminal without echo or from stdin, never from the arguments,
//! where every process of this machine can read it.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use nexus_auth::{AuthError, AuthService, Enrollment};
use nexus_config::AUTH_PLUGIN;
use nexus_model::limits::SETUP_LINK;
use nexus_model::plural::count;
use nexus_model::time::{Millis, Utc};
use nexus_model::trouble::{sentence, uncapitalized};
use nexus_plugin_api::text::line;
use nexus_plugin_traits::auth::{Field, Input};

use std::io::{BufRead as _, ErrorKind, IsTerminal, Write};

#[expect(missing_docs, reason = "clap would show a doc comment as the help text")]
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Add an account
    Add {
        /// The name of the account
        account: String,
        /// Read the password from the first line of stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give an account, new or not, to a person whom the login plugin knows, and end its logins
    Bind {
        /// The name of the account
        account: String,
        /// How the login plugin calls that person: the login page shows it to who has no account
        #[arg(long)]
        subject: String,
    },
    /// Set a new password and end all logins of the account
    Passwd {
        /// The name of the account
        account: String,
        /// Read the password from the first line of stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove an account, end its logins and forget its devices
    Remove {
        /// The name of the account
        account: String,
        /// Remove even the last account; nobody can log in then until `nexus user add`
        #[arg(long)]
        force: bool,
    },
    /// Unlock an account that is locked after too many wrong passwords, and all logins that name no account, such as passkeys
    Unlock {
        /// The name of the account
        account: String,
    },
    /// List the accounts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl UserCommand {
    /// `acts` is what it is called where it changes something.
    pub(super) fn acts(&self) -> Option<&'static str> {
        match self {
            Self::Add { .. } => Some("add"),
            Self::Bind { .. } => Some("bind"),
            Self::Passwd { .. } => Some("passwd"),
            Self::Remove { .. } => Some("remove"),
            Self::Unlock { .. } => Some("unlock"),
            Self::List { .. } => None,
        }
    }
}

/// `Source` is where answers to the auth plugin's questions come from.
pub trait Source {
    /// Asks for one field. With `confirm`, nothing else of the form asks for this password once more.
    ///
    /// # Errors
    /// Where there is nobody to ask, or they canceled.
    fn ask(&mut self, field: &Field, confirm: bool) -> anyhow::Result<String>;
}

/// `source` is the terminal or stdin, as the command says.
pub fn source(command: &UserCommand) -> Box<dyn Source> {
    match command {
        UserCommand::Add {
            password_stdin: true, ..
        }
        | UserCommand::Passwd {
            password_stdin: true, ..
        } => Box::new(FirstLine(None)),
        _ => Box::new(Terminal),
    }
}

/// Checks that there is anybody to ask, where it is known without the plugin that there will be a password to ask for.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn can_ask(command: &UserCommand, plugin: &str, stdin: &impl IsTerminal) -> anyhow::Result<()> {
    match command {
        UserCommand::Add {
            password_stdin: false, ..
        }
        | UserCommand::Passwd {
            password_stdin: false, ..
        } if plugin == AUTH_PLUGIN && !stdin.is_terminal() => bail!(NO_TERMINAL),
        _ => Ok(()),
    }
}

const NO_TERMINAL: &str = "stdin is not a terminal. To fix: run the command in a terminal, or use --password-stdin \
     and write the password to stdin";

/// Runs the command and writes its answer to `out`.
///
/// # Errors
/// A sentence for the operator.
pub async fn run(
    command: UserCommand,
    auth: &AuthService,
    source: &mut dyn Source,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { account, .. } => {
            auth.check_name(&account, true).await.map_err(said)?;
            let account = account.trim().to_ascii_lowercase();
            let form = auth.enrollment(&account).await.map_err(said)?;
            let done = match &form {
                Some(form) => {
                    let input = ask(form, source)?;
                    auth.add_account(&account, form, input).await.map_err(said)?
                }
                None => false,
            };
            if done {
                writeln!(out, "The account {account} can log in now.")?;
            } else {
                invite(auth, &account, out).await?;
            }
        }
        UserCommand::Bind { account, subject } => {
            auth.bind_subject(&account, &subject).await.map_err(said)?;
            writeln!(
                out,
                "The account {} belongs to {} now.",
                account.trim().to_ascii_lowercase(),
                line(&subject)
            )?;
        }
        UserCommand::Passwd { account, .. } => {
            auth.check_name(&account, false).await.map_err(said)?;
            let account = account.trim().to_ascii_lowercase();
            let form = auth.enrollment(&account).await.map_err(said)?;
            let done = match &form {
                Some(form) => {
                    let input = ask(form, source)?;
                    auth.reset_password(&account, form, input).await.map_err(said)?
                }
                None => false,
            };
            if done {
                writeln!(
                    out,
                    "The password has been changed. All logins of the account have ended, and its devices have been \
                     forgotten."
                )?;
            } else {
                invite(auth, &account, out).await?;
            }
        }
        UserCommand::Remove { account, force } => {
            let gone = auth.remove_account(&account, force).await.map_err(said)?;
            writeln!(
                out,
                "The account was removed, with {} and {}. Its chats are kept: they belong to Nexus.",
                count(gone.logins, "login"),
                count(gone.devices, "known device")
            )?;
            if auth.accounts().await.map_err(said)?.is_empty() {
                writeln!(
                    out,
                    "Nobody can log in now. To add an account, run `nexus user add NAME`."
                )?;
            }
        }
        UserCommand::Unlock { account } => {
            let was = auth.unlock_account(&account).await.map_err(said)?;
            writeln!(
                out,
                "{}",
                if was {
                    "Unlocked, with all logins that name no account."
                } else {
                    "The account was not locked. Its failed attempts were reset, with those of logins that name no account."
                }
            )?;
        }
        UserCommand::List { json } => {
            let accounts = auth.accounts().await.map_err(said)?;
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&accounts)?)?;
            } else if accounts.is_empty() {
                writeln!(
                    out,
                    "There is no account yet. Start Nexus and open the set-up link, or run `nexus user add NAME`."
                )?;
            } else {
                writeln!(
                    out,
                    "{:<24}  {:<20}  {:<20}  {:>6}  LOCKED UNTIL",
                    "ACCOUNT", "CREATED", "LAST USED", "LOGINS"
                )?;
                for a in accounts {
                    let (made, used) = (time(a.created_at), a.last_used_at.map_or("-".into(), time));
                    let locked = a.locked_until.map_or("-".into(), time);
                    writeln!(
                        out,
                        "{:<24}  {made:<20}  {used:<20}  {:>6}  {locked}",
                        a.account, a.logins
                    )?;
                }
            }
        }
    }
    Ok(())
}

/// Writes a link for what cannot be done in a terminal.
async fn invite(auth: &AuthService, account: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let token = auth.invite(account).await.map_err(said)?;
    writeln!(
        out,
        "The login plugin needs a browser for this. Open the following page at the address of this Nexus, such as \
         http://localhost:7860, or give it to the person: the account {account} belongs to who opens it first. It works once \
         and expires after {} minutes.\n/setup#{token}",
        SETUP_LINK.as_secs() / 60
    )?;
    Ok(())
}

fn ask(form: &Enrollment, source: &mut dyn Source) -> anyhow::Result<Input> {
    let mut input = Input::default();
    let confirm = form.fields.iter().filter(|f| f.kind.is_password()).count() == 1;
    for field in &form.fields {
        let value = source.ask(field, confirm)?;
        input.0.insert(field.name.clone(), value);
    }
    Ok(input)
}

fn said(e: AuthError) -> anyhow::Error {
    match e {
        // The name is in the command: no field was asked for.
        AuthError::Rejected { field, cause } if field == "account" => anyhow::anyhow!("{}", uncapitalized(&cause)),
        AuthError::Rejected { field, cause } => {
            anyhow::anyhow!(
                "{}",
                uncapitalized(&sentence(&cause, Some(&format!("enter another {field}"))))
            )
        }
        other => other.into(),
    }
}

fn time(at: Millis) -> String {
    Utc::of_millis(at).map_or_else(|| "?".into(), |at| format!("{} {}Z", at.date(), at.clock()))
}

/// `FirstLine` is `--password-stdin`: the same line for every password field, as the second one asks for the first once
/// more.
struct FirstLine(Option<String>);

impl Source for FirstLine {
    fn ask(&mut self, field: &Field, _confirm: bool) -> anyhow::Result<String> {
        if !field.kind.is_password() {
            bail!(
                "this auth plugin also asks for {:?}. To fix: run the command in a terminal without --password-stdin",
                field.title
            );
        }
        if let Some(password) = &self.0 {
            return Ok(password.clone());
        }
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .context("cannot read the password from stdin")?;
        let password = line.strip_suffix('\n').unwrap_or(&line);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            bail!("stdin is empty: its first line must be the password");
        }
        self.0 = Some(password.to_owned());
        Ok(password.to_owned())
    }
}

/// `Terminal` asks on the terminal; passwords without echo, and twice.
struct Terminal;

impl Source for Terminal {
    fn ask(&mut self, field: &Field, confirm: bool) -> anyhow::Result<String> {
        if !std::io::stdin().is_terminal() {
            bail!(NO_TERMINAL);
        }
        if let Some(help) = &field.help {
            say(&format!("{help}\n"))?;
        }
        if !field.kind.is_password() {
            say(&format!("{}: ", field.title))?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            return Ok(line.trim().to_owned());
        }
        loop {
            let first = hidden(&format!("{}: ", field.title))?;
            if !confirm || first == hidden(&format!("{} again: ", field.title))? {
                return Ok(first);
            }
            say("The passwords do not match. Try again.\n")?;
        }
    }
}

/// Says it on stderr, so that stdout stays for what scripts read.
fn say(text: &str) -> std::io::Result<()> {
    let mut err = std::io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

/// Reads a line without showing it.
fn hidden(prompt: &str) -> anyhow::Result<String> {
    // rpassword reads Ctrl-C as a key and raises the signal for it: unheeded, it would end the process before the terminal
    // is as it was.
    #[cfg(unix)]
    let _interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    rpassword::prompt_password(prompt).map_err(|error| match error.kind() {
        ErrorKind::Interrupted | ErrorKind::UnexpectedEof => anyhow::anyhow!("canceled"),
        _ => anyhow::Error::from(error).context("cannot read the password from the terminal"),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use nexus_model::time::ManualClock;
    use nexus_store::Store;
    use nexus_testkit::FakeAuth;
    use std::sync::Arc;

    #[test]
    fn an_input_without_a_terminal_is_refused_before_anything_is_loaded() {
        let nobody = tempfile::tempfile().unwrap();
        let add = |password_stdin| UserCommand::Add {
            account: "a".into(),
            password_stdin,
        };
        let refused = can_ask(&add(false), AUTH_PLUGIN, &nobody).unwrap_err().to_string();
        assert!(refused.contains("--password-stdin"), "{refused}");
        assert!(can_ask(&add(true), AUTH_PLUGIN, &nobody).is_ok());
        assert!(
            can_ask(&add(false), "auth-mine", &nobody).is_ok(),
            "it may ask for nothing"
        );
        assert!(can_ask(&UserCommand::List { json: false }, AUTH_PLUGIN, &nobody).is_ok());
    }

    /// Nothing: nobody is to be asked.
    struct Says(&'static str);
    impl Source for Says {
        fn ask(&mut self, field: &Field, _confirm: bool) -> anyhow::Result<String> {
            assert!(!self.0.is_empty(), "a password for nothing");
            assert!(field.kind.is_password());
            Ok(self.0.to_owned())
        }
    }

    async fn nexus(auth: &AuthService, command: UserCommand, says: &'static str) -> Result<String, String> {
        let mut out = Vec::new();
        run(command, auth, &mut Says(says), &mut out)
            .await
            .map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn accounts_from_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let auth = AuthService::open(
            Arc::new(FakeAuth::default()),
            Store::open(dir.path()).unwrap(),
            Arc::new(ManualClock::at(1_700_000_000_000)),
            nexus_testkit::auth_config(),
            Arc::new(nexus_store::activity_log::ActivityLog::unkept(Arc::new(
                ManualClock::at(0),
            ))),
        )
        .await
        .unwrap();
        let add = |account: &str| UserCommand::Add {
            account: account.into(),
            password_stdin: false,
        };
        let list = || UserCommand::List { json: false };
        assert!(nexus(&auth, list(), "").await.unwrap().contains("no account yet"));
        let short = nexus(&auth, add("Ann"), "short").await.unwrap_err();
        assert!(short.ends_with("To fix: enter another password"), "{short}");
        assert!(nexus(&auth, add("Ann"), "correct horse").await.unwrap().contains("ann"));
        assert!(
            nexus(&auth, add("ann"), "")
                .await
                .unwrap_err()
                .contains("already exists")
        );
        assert!(
            nexus(&auth, add("no one"), "")
                .await
                .unwrap_err()
                .starts_with("an account name can")
        );
        let passwd = |account: &str| UserCommand::Passwd {
            account: account.into(),
            password_stdin: false,
        };
        nexus(&auth, passwd("ann"), "battery staple").await.unwrap();
        assert!(
            nexus(&auth, passwd("bob"), "")
                .await
                .unwrap_err()
                .starts_with("there is no account bob")
        );
        assert!(
            nexus(&auth, UserCommand::Unlock { account: "ann".into() }, "")
                .await
                .unwrap()
                .contains("not locked")
        );
        let shown = nexus(&auth, UserCommand::List { json: true }, "").await.unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap()[0]["account"],
            "ann"
        );
        assert!(!auth.setup_open().await.unwrap());
        let bind = |account: &str, subject: &str| UserCommand::Bind {
            account: account.into(),
            subject: subject.into(),
        };
        let bound = nexus(&auth, bind("eve", "sub-eve"), "").await.unwrap();
        assert!(bound.contains("eve belongs to sub-eve"), "{bound}");
        let taken = nexus(&auth, bind("bob", "sub-ann"), "").await.unwrap_err();
        assert!(taken.contains("belongs to another account"), "{taken}");
        assert!(nexus(&auth, bind("bob", ""), "").await.is_err());
    }

    #[tokio::test]
    async fn where_a_terminal_does_not_do_there_is_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(1_700_000_000_000);
        let provider = FakeAuth::default();
        provider.core_only.store(true, std::sync::atomic::Ordering::SeqCst);
        let auth = AuthService::open(
            Arc::new(provider),
            Store::open(dir.path()).unwrap(),
            Arc::new(clock.clone()),
            nexus_testkit::auth_config(),
            Arc::new(nexus_store::activity_log::ActivityLog::unkept(Arc::new(clock))),
        )
        .await
        .unwrap();
        let add = UserCommand::Add {
            account: "Ann".into(),
            password_stdin: false,
        };
        let shown = nexus(&auth, add, "").await.unwrap();
        let token = shown.split("/setup#").nth(1).unwrap().trim();
        auth.setup_check(token).await.unwrap();
        assert!(shown.contains("the account ann"), "{shown}");
    }
}
