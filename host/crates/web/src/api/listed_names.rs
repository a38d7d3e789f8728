//! Where the names are listed that an operation takes: who is told that there is none of a name is told where those are.

use super::problem::Problem;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use nexus_model::chat::PromptOptions;
use nexus_model::trouble::{TO_FIX, sentence};

/// `PATHS` are the beginnings of paths with a name in them, the longest first, and where such names are.
const PATHS: [(&str, &str); 10] = [
    (
        "/api/v1/sessions/{session}/requests/",
        "choose a session of `GET /api/v1/sessions`, and an open request of `requests` in `GET /api/v1/sessions/{session}`",
    ),
    (
        "/api/v1/sessions/{session}/attachments/",
        "choose a session of `GET /api/v1/sessions`, and an attachment of its messages in `GET /api/v1/sessions/{session}`",
    ),
    (
        "/api/v1/sessions/{session}/parts/",
        "choose a session of `GET /api/v1/sessions`, and a part of its messages in `GET /api/v1/sessions/{session}`",
    ),
    (
        "/api/v1/sessions/{session}/prompts/",
        "choose a session of `GET /api/v1/sessions`, and a waiting message in `GET /api/v1/sessions/{session}`",
    ),
    (
        "/api/v1/sessions/{session}/fork",
        "choose a session of `GET /api/v1/sessions`, and a message of it in `GET /api/v1/sessions/{session}`",
    ),
    (
        "/api/v1/sessions/{session}/revert",
        "choose a session of `GET /api/v1/sessions`, and a message of it in `GET /api/v1/sessions/{session}`",
    ),
    ("/api/v1/sessions/{session}", "choose one of `GET /api/v1/sessions`"),
    (
        "/api/v1/backend/providers/",
        "choose one of `GET /api/v1/backend/providers`",
    ),
    (
        "/api/v1/backend/files/",
        "choose a path of `GET /api/v1/backend/files/list`",
    ),
    ("/api/v1/tunnels/", "choose one of `GET /api/v1/tunnels`"),
];

/// Completes each 404 that has no fix.
pub(super) async fn named(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::NOT_FOUND {
        return response;
    }
    let found = path.and_then(|path| PATHS.iter().find(|(begin, _)| path.as_str().starts_with(begin)));
    match (found, response.extensions().get::<Problem>()) {
        (Some((_, fix)), Some(problem)) => problem.clone().or_fix(fix).into_response(),
        _ => response,
    }
}

/// Says of a prompt that was refused without a fix where that is listed which the cause names. What the backend has no list of is
/// refused with a fix.
pub(super) fn of_prompt(problem: Problem, options: &PromptOptions) -> Problem {
    let model = [&options.model, &options.variant].into_iter().flatten();
    let named: [(&str, Vec<String>); 4] = [
        ("models", model.map(|name| quoted(name)).collect()),
        ("agents", options.agent.iter().map(|name| quoted(name)).collect()),
        (
            "commands",
            options.command.iter().map(|call| format!("/{}", call.name)).collect(),
        ),
        ("files/list", options.files.clone()),
    ];
    let meant = |names: &Vec<String>| names.iter().any(|name| problem.names(name));
    match named.iter().find(|(_, names)| meant(names)) {
        Some((list, _)) => problem.listed(&format!("`GET /api/v1/backend/{list}`")),
        None => problem,
    }
}

/// Says the same of a sign-in: its `method` is listed with the provider.
pub(super) fn of_sign_in(problem: Problem, method: &str) -> Problem {
    match problem.names(&quoted(method)) {
        true => problem.or_fix("choose one of `methods` in `GET /api/v1/backend/providers`"),
        false => problem,
    }
}

/// `quoted` is a name as a sentence names it: without quotes it may be any word.
fn quoted(name: &str) -> String {
    format!("{name:?}")
}

impl Problem {
    /// `or_fix` is the problem with this fix, where it has none.
    fn or_fix(mut self, fix: &str) -> Self {
        if !self.says(TO_FIX) {
            self.detail = format!("{}.", sentence(&self.detail, Some(fix)));
        }
        self
    }

    /// `listed` is the problem with the list to choose from: as its fix, or behind it.
    fn listed(mut self, list: &str) -> Self {
        if self.says(TO_FIX) {
            self.detail = format!("{}. {list} lists them.", self.detail.trim_end_matches('.'));
            return self;
        }
        self.or_fix(&format!("choose one of {list}"))
    }

    /// Tells whether the name is in the text, and not only as a part of a word.
    fn names(&self, name: &str) -> bool {
        let word = |beside: Option<char>| beside.is_some_and(char::is_alphanumeric);
        self.detail.match_indices(name).any(|(at, _)| {
            let (before, after) = (self.detail.get(..at), self.detail.get(at + name.len()..));
            let before = before.and_then(|text| text.chars().next_back());
            !word(before) && !word(after.and_then(|text| text.chars().next()))
        })
    }

    fn says(&self, words: &str) -> bool {
        self.detail.contains(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_model::chat::CommandCall;

    #[test]
    fn a_prompt_that_is_refused_says_where_what_it_names_is_listed() {
        let options = PromptOptions {
            model: Some("a/b".to_owned()),
            agent: Some("plan".to_owned()),
            command: Some(CommandCall {
                name: "init".to_owned(),
                arguments: String::new(),
            }),
            files: vec!["src/x.rs".to_owned()],
            ..PromptOptions::default()
        };
        for (cause, list) in [
            ("\"a/b\" is not a model.", "models"),
            ("There is no agent \"plan\".", "agents"),
            ("There is no command /init.", "commands"),
            ("src/x.rs does not exist.", "files/list"),
        ] {
            let problem = of_prompt(Problem::of(StatusCode::CONFLICT, cause), &options);
            let fix = format!("{cause} To fix: choose one of `GET /api/v1/backend/{list}`.");
            assert!(problem.says(&fix), "{problem:?}");
        }
        let method = of_sign_in(Problem::of(StatusCode::CONFLICT, "There is no way \"key\"."), "key");
        assert!(method.says("`GET /api/v1/backend/providers`"), "{method:?}");
        let fixed = Problem::of(StatusCode::CONFLICT, "\"a/b\" is not a model. To fix: sign in.");
        let fixed = of_prompt(fixed, &options);
        let both = "To fix: sign in. `GET /api/v1/backend/models` lists them.";
        assert!(fixed.says(both), "{fixed:?}");
        let missing = of_sign_in(Problem::of(StatusCode::CONFLICT, "A key is missing."), "key");
        assert!(!missing.says("/api/v1"), "{missing:?}");
        for other in [
            "The text is too long.",
            "An explanation is needed.",
            "A plan is needed to init it.",
        ] {
            let problem = of_prompt(Problem::of(StatusCode::CONFLICT, other), &options);
            assert!(!problem.says("/api/v1"), "{problem:?}");
        }
    }
}
