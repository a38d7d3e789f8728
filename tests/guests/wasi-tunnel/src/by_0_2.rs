//! Requests by `wasi:http/outgoing-handler` of WASI 0.2, which blocks.

use wasip2::http::outgoing_handler::{FutureIncomingResponse, handle};
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// `scheme://authority/path` in its parts.
fn parts(url: &str) -> (Scheme, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let at = rest.find('/').unwrap_or(rest.len());
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    (scheme, &rest[..at], &rest[at..])
}

fn request(url: &str, headers: &[(&str, &str)]) -> Result<OutgoingRequest, String> {
    let list: Vec<(String, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let fields = Fields::from_list(&list).map_err(|e| format!("{e:?}"))?;
    let request = OutgoingRequest::new(fields);
    let (scheme, authority, path) = parts(url);
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| "the scheme is refused")?;
    request
        .set_authority(Some(authority))
        .map_err(|()| "the authority is refused")?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| "the path is refused")?;
    Ok(request)
}

/// The status, the location where there is one, and the body.
fn answer(sent: Result<FutureIncomingResponse, ErrorCode>) -> Result<(u16, String, String), String> {
    let future = sent.map_err(|e| format!("{e:?}"))?;
    future.subscribe().block();
    let response = future.get().unwrap().unwrap().map_err(|e| format!("{e:?}"))?;
    let location = response.headers().get("location").concat();
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => all.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(e)) => {
                let code = wasip2::http::types::http_error_code(&e);
                return Err(format!("after {} bytes {code:?}", all.len()));
            }
        }
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((response.status(), text(location), text(all)))
}

fn shown(result: Result<(u16, String, String), String>) -> String {
    match result {
        Ok((status, _, body)) => format!("{status} {body}"),
        Err(e) => e,
    }
}

pub fn get(url: &str, headers: &[(&str, &str)]) -> String {
    shown(request(url, headers).and_then(|request| answer(handle(request, None))))
}

pub fn methods(url: &str) -> Vec<String> {
    let ways = [
        Method::Connect,
        Method::Trace,
        Method::Other("BREW".to_owned()),
        Method::Delete,
    ];
    let with = |method: Method| {
        let request = request(url, &[])?;
        request.set_method(&method).map_err(|()| "the method is refused")?;
        answer(handle(request, None))
    };
    let mut all: Vec<String> = ways.into_iter().map(|method| shown(with(method))).collect();
    // Other schemes than those of the web, and whoever is named before the host.
    all.push(get("file://127.0.0.1/etc/passwd", &[]));
    all.push(get(&url.replace("://", "://user:password@"), &[]));
    all
}

/// Headers by which a request would become two, or go to somebody else.
pub fn headers(url: &str) -> Vec<String> {
    [
        ("x-line", "a\r\nx-other: b"),
        ("x-line\r\nx-other", "a"),
        ("host", "other.example"),
        ("transfer-encoding", "chunked"),
        ("connection", "upgrade"),
        ("te", "trailers"),
        ("content-length", "5, 6"),
        ("content-length", "5"),
    ]
    .into_iter()
    .map(|header| format!("{}: {}", header.0.escape_debug(), get(url, &[header])))
    .chain([format!("many: {}", get(url, &[("x-many", "v"); 65]))])
    .collect()
}

/// Follows where an answer points, as a library would.
pub fn redirects(url: &str) -> Vec<String> {
    ["/to-private", "/to-other"]
        .into_iter()
        .map(|path| {
            let first = request(&format!("{url}{path}"), &[]).and_then(|request| answer(handle(request, None)));
            match first {
                Ok((302, location, _)) => format!("{path}: {}", get(&location, &[])),
                other => format!("{path}: {}", shown(other)),
            }
        })
        .collect()
}

/// A request with a body of so many bytes, and how many of them the host takes in one write.
pub fn post(url: &str, size: u64) -> String {
    let mut room = 0;
    let sent = shown(request(url, &[]).and_then(|request| {
        request
            .set_method(&Method::Post)
            .map_err(|()| "the method is refused")?;
        let body = request.body().map_err(|()| "it can have no body")?;
        let future = handle(request, None).map_err(|e| format!("{e:?}"))?;
        let stream = body.write().map_err(|()| "the body cannot be written")?;
        room = stream.check_write().unwrap_or_default();
        let mut left = size;
        while left > 0 {
            let chunk = left.min(4096);
            if stream.blocking_write_and_flush(&vec![b'x'; chunk as usize]).is_err() {
                break;
            }
            left -= chunk;
        }
        drop(stream);
        if left == 0 {
            OutgoingBody::finish(body, None).map_err(|e| format!("{e:?}"))?;
        }
        answer(Ok(future))
    }));
    format!("{sent}, written {room} at once")
}

/// So many requests that none waits for.
pub fn flood(url: &str) -> Vec<String> {
    let sent: Vec<_> = (0..200)
        .map(|_| request(url, &[]).map(|request| handle(request, None)))
        .collect();
    let mut answers: Vec<String> = sent
        .into_iter()
        .map(|sent| match sent {
            Ok(Ok(future)) => {
                future.subscribe().block();
                match future.get() {
                    Some(Ok(Ok(response))) => format!("{}", response.status()),
                    Some(Ok(Err(e))) => format!("{e:?}"),
                    other => format!("{}", other.is_some()),
                }
            }
            Ok(Err(e)) => format!("{e:?}"),
            Err(e) => e,
        })
        .collect();
    answers.sort();
    let mut counted: Vec<(String, usize)> = Vec::new();
    for answer in answers {
        match counted.last_mut() {
            Some((last, count)) if *last == answer => *count += 1,
            _ => counted.push((answer, 1)),
        }
    }
    counted
        .into_iter()
        .map(|(answer, count)| format!("{answer} × {count}"))
        .collect()
}

/// Headers of requests that are never sent, without an end.
pub fn hoard() -> Vec<String> {
    let mut kept = Vec::new();
    loop {
        let fields = Fields::new();
        let _ = fields.append("x-large", "v".repeat(8_000).as_bytes());
        kept.push(fields);
    }
}
