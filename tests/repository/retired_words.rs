//! The words that are retired, what to write instead, and where one of them has to stay.

/// One row of the table: `retired` words or phrases, in lower case, and what to `write` instead.
pub(crate) struct Retired {
    pub(crate) retired: &'static [&'static str],
    pub(crate) write: &'static str,
    /// Phrases in which the word has another meaning.
    pub(crate) fine: &'static [&'static str],
    /// Whether comments in code are read too.
    pub(crate) comments: bool,
}

const fn row(retired: &'static [&'static str], write: &'static str) -> Retired {
    let (fine, comments) = (&[], true);
    Retired {
        retired,
        write,
        fine,
        comments,
    }
}

impl Retired {
    const fn except(self, fine: &'static [&'static str]) -> Self {
        Self { fine, ..self }
    }
    const fn not_in_comments(self) -> Self {
        Self {
            comments: false,
            ..self
        }
    }
}

pub(crate) const TABLE: &[Retired] = &[
    row(&["fell", "felled", "fallen", "falls", "fall"], "crash, crashed").except(&[
        "fall back",
        "falls back",
        "fell back",
        "falls through",
    ]),
    row(&["mend", "mends", "mended", "mending"], "fix"),
    row(&["anew"], "again: restarted, reopened, compiled again"),
    row(
        &["give up", "gives up", "gave up", "given up", "giving up"],
        "fail, cancel, drop; restart limit reached",
    ),
    row(&["figures"], "statistics, metrics"),
    row(&["stands in", "stand in", "stood in"], "fallback; or `is in`"),
    row(&["in force", "into force"], "active, applied, takes effect"),
    row(&["gains"], "new permissions"),
    row(&["lacks"], "missing permissions; or `has no`"),
    row(&["licence", "licences"], "license"),
    row(&["enrol", "enrols", "enrolled", "enrolment"], "enroll"),
    row(&["epoch"], "connection").except(&["unix epoch", "epoch ticks", "epoch deadline", "epoch tick"]),
    row(
        &[
            "it counts",
            "that counts",
            "what counts",
            "never counts",
            "counts until",
            "counts when",
            "not count yet",
        ],
        "takes effect, is active",
    ),
    row(
        &["take over", "takes over", "took over", "taking over"],
        "replace, become active",
    ),
    row(&["is away", "are away"], "is unavailable, is reconnecting").except(&["owner who is away"]),
    row(&["all is well"], "everything is OK"),
    row(&["waits for you", "wait for you"], "needs attention").except(&["answer waits for you"]),
    row(
        &["somebody", "whoever"],
        "someone, the user, the caller, another process",
    )
    .not_in_comments(),
    row(&["keeper", "guardian"], "shim, reaper").not_in_comments(),
    row(
        &[
            "behaviour",
            "summarised",
            "sanitised",
            "canonicalise",
            "canonicalises",
            "optimised",
            "optimisation",
            "normalise",
            "normalised",
            "normaliser",
        ],
        "the American spelling",
    )
    .not_in_comments(),
    row(
        &["an ask", "the ask", "one ask", "an ask's", "its asks", "open asks"],
        "permission request, question",
    ),
    row(
        &["probe", "probes", "probed", "probing", "prober"],
        "check, public check; availability check",
    ),
    row(&["said"], "reported, message")
        .not_in_comments()
        // What the model of the tests answers, and fixtures with it.
        .except(&["you said"]),
    row(&["held"], "paused, queued, locked, cached")
        .not_in_comments()
        // A key of the keyboard.
        .except(&["held key"]),
    row(&["feed", "feeds"], "event stream").except(&["line feed"]),
    row(&["seal", "sealed", "seals"], "form token; encrypted"),
    row(&["door", "doors"], "listener"),
    row(&["seat", "seats"], "status publisher"),
    row(&["data directory", "data directories"], "data folder").not_in_comments(),
    row(
        &["conversation", "conversations"],
        "chat (page); session (API, log, code)",
    ),
];

/// Parts of public names: of items, of the fields of structs, of the variants of enums and of the functions of traits. The
/// glossary's `way` and `local` are not here: as parts of a name they have their everyday meaning (`is_under_way`,
/// `Ingress::Local`).
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("fell", "crashed"),
    ("falls", "crashes"),
    ("mend", "fix"),
    ("anew", "again"),
    ("figures", "statistics"),
    ("licence", "license"),
    ("enrol", "enroll"),
    ("gains", "new_permissions"),
    ("lacks", "missing_permissions"),
    ("asks", "permissions, requests"),
    ("probe", "check"),
    ("probes", "checks"),
    ("prober", "checker"),
    ("said", "message, reported"),
    ("held", "queued, paused, locked, cached"),
    ("feed", "event stream"),
    ("feeds", "event streams"),
    ("seal", "encrypt"),
    ("sealed", "encrypted"),
    ("seat", "status publisher"),
    ("door", "listener"),
    ("kick", "start counter"),
    ("kicks", "start counter"),
    ("clip", "truncate"),
];

/// Files that have to say a retired word: what they begin with, and the word.
pub(crate) const KEPT: &[(&str, &str)] = &[
    // wasmtime's epochs.
    ("host/crates/plugin-host/src/engine/wasmtime_engine.rs", "epoch"),
    // The old keys, which are still read.
    ("plugin-api/src/manifest", "licence"),
    ("plugin-api/src/renamed_keys.rs", "probe"),
    ("host/crates/config/src/authored.rs", "probe"),
    ("host/crates/config/src/tests/renamed_keys.rs", "licence"),
    ("host/crates/config/src/tests/renamed_keys.rs", "probe"),
    ("host/crates/reload/src/tests/notices.rs", "probe"),
    ("host/src/cli/plugin/tests.rs", "licence"),
    // Another text is another contract.
    ("plugin-api/wit/chat.wit", "conversation"),
    ("plugin-api/wit/chat.wit", "conversations"),
    // opencode's own words.
    ("tests/src/llm.rs", "conversation"),
    ("tests/tests/stand_in.rs", "conversation"),
    // Modules of 0.1, whose log filters are still read.
    ("host/crates/config/src/log_filter.rs", "keeper"),
    ("host/crates/config/src/log_filter.rs", "probe"),
    ("host/crates/config/src/log_filter.rs", "seat"),
];
