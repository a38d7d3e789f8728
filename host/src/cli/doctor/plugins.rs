//! The plugins that the configuration selects: whether each loads, and what it says of the program that it needs. The
//! plugin itself is asked, so that here and on the page the same version is too old.

use super::finding::Finding;
use super::load_checks::{plaintext_refused, unused_folders};
use super::scratch_folder::Scratch;
use crate::app::Foundation;
use crate::cli::permissions;
use nexus_config::resolved::Config;
use nexus_config::{command, in_table, refused, shell_word};
use nexus_model::plugin::{Availability, Fit, PluginState};
use nexus_model::time::SystemClock;
use nexus_model::trouble::{Problem, cause_and_fix, uncapitalized};
use nexus_plugin_host::find_binary;
use nexus_plugin_traits::{Call, CallError, NotLoaded, Supervised};
use std::sync::Arc;
use std::time::Duration;

/// `AVAILABILITY_CHECK` is the time for a plugin's word about its program, which may start slowly the first time.
const AVAILABILITY_CHECK: Duration = Duration::from_secs(40);

/// `AS_DESCRIBED` is the fix beside a report, which has one for each place.
const AS_DESCRIBED: &str = "correct each place as described";

pub(super) fn look(config: Config, findings: &mut Vec<Finding>) {
    let failed = |cause: String| {
        Finding::fail(
            "plugins",
            format!("cannot check the plugins: {cause}"),
            "free up space in the folder for temporary files, or set TMPDIR to another one",
        )
    };
    let scratch = match Scratch::make() {
        Ok(scratch) => scratch,
        Err(error) => return findings.push(failed(format!("{error:#}"))),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return findings.push(failed(error.to_string())),
    };
    let found = runtime.block_on(async {
        let foundation = Foundation::beside(config, Arc::new(SystemClock), &scratch.0)?;
        let mut found = Vec::new();
        all(&foundation, &mut found).await;
        found.extend(
            permissions::of_selected(&foundation.config)
                .into_iter()
                .map(|lacks_permission| {
                    Finding::warn(
                        format!("permissions.{}", lacks_permission.plugin),
                        lacks_permission.sentence(),
                        lacks_permission.fix(),
                    )
                }),
        );
        foundation.processes.stop_all(None).await;
        anyhow::Ok(found)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    match found {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(failed(format!("{error:#}"))),
    }
}

async fn all(foundation: &Foundation, findings: &mut Vec<Finding>) {
    let config = &foundation.config;
    if let Some(report) = &config.chat.unusable {
        findings.push(Finding::fail("workspace", report, AS_DESCRIBED));
    }
    for trouble in &config.troubles {
        let fix = trouble.fix.clone().unwrap_or_default();
        findings.push(Finding::fail(&trouble.subject, &trouble.cause, fix));
    }
    let name = &config.auth.plugin;
    match foundation.loader.auth(&config.auth.plugin) {
        Err(error) => findings.extend(does_not_load(config, name, &error)),
        Ok(auth) => findings.push(match asked(auth.methods()).await {
            Ok(methods) => {
                let titles: Vec<_> = methods.into_iter().map(|m| m.title).collect();
                Finding::ok(
                    format!("plugin.{name}"),
                    format!(
                        "the login plugin works; {}: {}",
                        if titles.len() == 1 { "method" } else { "methods" },
                        titles.join(", ").to_lowercase()
                    ),
                )
            }
            Err(error) => Finding::fail(
                format!("plugin.{name}"),
                format!("the login plugin does not answer: {error}"),
                in_table("auth", "plugin = \"auth-local\""),
            ),
        }),
    }
    let name = &config.chat.plugin;
    match foundation.loader.chat(name, None) {
        Err(error) => findings.extend(does_not_load(config, name, &error)),
        Ok(chat) => {
            // An example is shown meanwhile, and the page offers the installation.
            let stands_in = config.chat.fallback.is_some();
            // Only a running instance has said its title.
            let mut title = name.clone();
            let mut unused = None;
            let availability = running(&*chat, || {
                title = chat.title();
                unused = unused_folders(config, name, &*chat);
                chat.check_availability()
            })
            .await;
            if let Some(warning) = unused {
                let (found, fix) = cause_and_fix(&warning);
                findings.push(Finding::warn("workspace", found, fix.unwrap_or_default()));
            }
            match refusal(config, name, &*chat) {
                Some(refused) => findings.push(refused),
                None => available(config, name, &title, availability, stands_in, findings),
            }
        }
    }
    if let Some(name) = &config.chat.fallback {
        findings.extend(match foundation.loader.chat(name, None) {
            Ok(_) => Some(Finding::ok(format!("plugin.{name}"), "the plugin can be loaded")),
            Err(error) => does_not_load(config, name, &error),
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    for tunnel in config.tunnels.values() {
        let first = seen.insert(&tunnel.plugin);
        match foundation.loader.tunnel(&tunnel.plugin, tunnel.process_owner(), None) {
            Err(error) if first => findings.extend(does_not_load(config, &tunnel.plugin, &error)),
            Err(_) => {}
            Ok(provider) => {
                let (mut bare, mut title) = (None, tunnel.plugin.clone());
                let availability = running(&*provider, || {
                    Box::pin(async {
                        if let Ok(descriptor) = provider.describe().await {
                            title = descriptor.title;
                        }
                        bare = plaintext_refused(tunnel, &*provider).await;
                        // Asked once for each plugin: its program is the same.
                        if first {
                            provider.check_availability().await.map(Some)
                        } else {
                            Ok(None)
                        }
                    })
                })
                .await;
                if first {
                    match (refusal(config, &tunnel.plugin, &*provider), availability.transpose()) {
                        (Some(refused), _) => findings.push(refused),
                        (None, Some(availability)) => {
                            available(config, &tunnel.plugin, &title, availability, false, findings)
                        }
                        (None, None) => {}
                    }
                }
                findings.extend(bare.map(|bare| {
                    Finding::fail(bare.subject.replace(' ', "."), bare.cause, bare.fix.unwrap_or_default())
                }));
            }
        }
    }
}

/// Starts the plugin, asks it, and ends it.
async fn running<'a, T>(
    plugin: &'a (impl Supervised + ?Sized),
    call: impl FnOnce() -> Call<'a, T>,
) -> Result<T, CallError> {
    let mut status = plugin.status();
    plugin.start();
    let up = status.wait_for(|s| matches!(s.state, PluginState::Running | PluginState::Failed { .. }));
    // Where it does not come up, the call itself says why.
    let _ = tokio::time::timeout(AVAILABILITY_CHECK, up).await;
    let answer = asked(call()).await;
    plugin.stop().await;
    answer
}

/// `refusal` has its settings, with their places in the file, where it cannot use them.
fn refusal(config: &Config, name: &str, plugin: &(impl Supervised + ?Sized)) -> Option<Finding> {
    let refusals = plugin.refused();
    (!refusals.is_empty()).then(|| {
        Finding::fail(
            format!("plugin.{name}"),
            format!(
                "the plugin cannot use its settings:\n{}",
                refused(config, name, &refusals)
            ),
            "correct each line as described",
        )
    })
}

async fn asked<T>(call: Call<'_, T>) -> Result<T, CallError> {
    let slow = |_| {
        Err(CallError::Timeout(format!(
            "no answer within {} s",
            AVAILABILITY_CHECK.as_secs()
        )))
    };
    tokio::time::timeout(AVAILABILITY_CHECK, call)
        .await
        .unwrap_or_else(slow)
}

/// `does_not_load` is none where only project folders are missing, which is a finding of its own.
fn does_not_load(config: &Config, name: &str, error: &NotLoaded) -> Option<Finding> {
    let check = format!("plugin.{name}");
    if let Some(broken) = config.broken.get(name) {
        let report = broken.report.as_ref()?;
        return Some(Finding::fail(
            check,
            format!("{name} cannot start:\n{report}"),
            AS_DESCRIBED,
        ));
    }
    let (cause, fix) = cause_and_fix(error.cause());
    let fix = fix.map_or_else(
        || {
            let words = format!("plugin check {}", shell_word(name));
            format!(
                "run `{}`, which shows what is wrong",
                command(&words, config.file.as_deref(), None)
            )
        },
        str::to_owned,
    );
    Some(Finding::fail(
        check,
        format!("the plugin cannot be loaded: {cause}"),
        fix,
    ))
}

/// Asks what the plugin says of its program (`title`: the provider's name), and where that is.
fn available(
    config: &Config,
    name: &str,
    title: &str,
    availability: Result<Availability, CallError>,
    stands_in: bool,
    findings: &mut Vec<Finding>,
) {
    let check = format!("plugin.{name}");
    let programs = programs(config, name);
    let missing = |found: String, fix: String| {
        if stands_in {
            Finding::warn(&check, found, fix)
        } else {
            Finding::fail(&check, found, fix)
        }
    };
    findings.push(match availability {
        Ok(Availability::Ready(Fit { version, note })) => {
            let at = match programs.as_slice() {
                [] => String::new(),
                places => format!(" at {}", places.join(", ")),
            };
            let note = note
                .map(|note| format!("; {}", uncapitalized(&note)))
                .unwrap_or_default();
            Finding::ok(&check, format!("ready: {title} {version}{at}{note}"))
        }
        Ok(unavailable) => match Problem::of(unavailable, title) {
            // The lines are below, with all others that it needs.
            Some(Problem { cause, .. }) if cause.contains("has no permission to") && lacks_permission(config, name) => {
                missing(cause, format!("grant what permissions.{name} lists below"))
            }
            Some(Problem { cause, fix }) => missing(cause, fix.unwrap_or_default()),
            None => return,
        },
        Err(error) => missing(
            format!("the plugin does not answer: {error}"),
            "run `nexus logs`, which shows what the plugin reported".to_owned(),
        ),
    });
}

fn lacks_permission(config: &Config, name: &str) -> bool {
    config
        .plugins
        .get(name)
        .is_some_and(|plugin| !plugin.missing.is_empty())
}

/// `programs` are where the plugin itself finds them.
fn programs(config: &Config, name: &str) -> Vec<String> {
    let Some(plugin) = config.plugins.get(name) else {
        return Vec::new();
    };
    let granted = plugin.grants.processes.iter();
    let found = granted.filter_map(|(program, grant)| {
        find_binary(&plugin.name, program, grant.path.as_deref(), &config.data_dir).ok()
    });
    found.map(|path| path.display().to_string()).collect()
}
