//! Requests with time-outs that nobody should wait for. `server` answers nothing at `/silent`, half at `/half` and all at `/`;
//! nobody gets through to `unreachable`.

use crate::capabilities::Answers;
use nexus_plugin_api::caps::http::{self, Request};
use nexus_plugin_api::caps::types::Error;
use nexus_plugin_api::config;
use nexus_plugin_api::job::timeout;

#[derive(serde::Deserialize)]
struct Settings {
    server: Option<String>,
    unreachable: Option<String>,
}

pub async fn with_timeouts(answers: &mut Answers) {
    let Settings { server, unreachable } = config::<Settings>().unwrap();
    let (server, unreachable) = (server.unwrap_or_default(), unreachable.unwrap_or_default());
    let most = Some(u64::MAX);
    for (what, path, headers, idle) in [
        ("headers in no time", "/silent", Some(0), None),
        ("headers in 200 ms", "/silent", Some(200), None),
        ("a byte in no time", "/half", None, Some(0)),
        ("a byte in 200 ms", "/half", None, Some(200)),
        ("all in no time for its bytes", "/", most, Some(0)),
        ("all in the longest time", "/", most, most),
    ] {
        answers.note(what, whole(&format!("{server}{path}"), headers, idle).await);
    }
    for (what, headers) in [
        ("connected in 200 ms", Some(200)),
        ("connected in the longest time", most),
    ] {
        answers.note(what, whole(&unreachable, headers, None).await);
    }
    // What nobody limits ends with who waits for it.
    let waited = timeout(500, whole(&format!("{server}/half"), None, None)).await;
    answers.note("all of half in 500 ms", Ok(waited.map(Result::ok)));
}

/// How many bytes came.
async fn whole(url: &str, headers: Option<u64>, idle: Option<u64>) -> Result<usize, Error> {
    let request = Request {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: headers,
        idle_timeout: idle,
    };
    let (_, body, end) = http::fetch(request).await?;
    let bytes = body.collect().await;
    end.await?;
    Ok(bytes.len())
}
