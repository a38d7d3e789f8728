//! WASI 0.3: requests by `wasi:http/client`, clocks, random numbers, standard output, and what is denied.

use wasip3::http::client::send;
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Scheme};
use wasip3::sockets::types::{IpAddressFamily, TcpSocket, UdpSocket};
use wasip3::{cli, clocks, filesystem, random, sockets, wit_bindgen, wit_future, wit_stream};

fn request(url: &str, token: &str, body: Option<Vec<u8>>) -> Result<Request, String> {
    let fields =
        Fields::from_list(&[("authorization".to_owned(), token.as_bytes().to_vec())]).map_err(|e| format!("{e:?}"))?;
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    let method = if body.is_some() { Method::Post } else { Method::Get };
    let body = body.map(|body| {
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            writer.write_all(body).await;
        });
        reader
    });
    let (request, _sent) = Request::new(fields, body, no_trailers, None);
    let (_, rest) = url.split_once("://").unwrap_or(("http", url));
    let at = rest.find('/').unwrap_or(rest.len());
    request.set_method(&method).map_err(|()| "the method is refused")?;
    request
        .set_scheme(Some(&Scheme::Http))
        .map_err(|()| "the scheme is refused")?;
    request
        .set_authority(Some(&rest[..at]))
        .map_err(|()| "the authority is refused")?;
    request
        .set_path_with_query(Some(&rest[at..]))
        .map_err(|()| "the path is refused")?;
    Ok(request)
}

async fn answer(request: Result<Request, String>) -> Result<String, String> {
    let response = send(request?).await.map_err(|e| format!("{e:?}"))?;
    let status = response.get_status_code();
    let (_, no_error) = wit_future::new(|| Ok::<_, ErrorCode>(()));
    let (body, _trailers) = Response::consume_body(response, no_error);
    let body = body.collect().await;
    Ok(format!("{status} {}", String::from_utf8_lossy(&body)))
}

pub async fn get(url: &str, token: &str) -> String {
    answer(request(url, token, None)).await.unwrap_or_else(|e| e)
}

pub async fn post(url: &str, body: Vec<u8>) -> String {
    answer(request(url, "", Some(body))).await.unwrap_or_else(|e| e)
}

/// What is no request, of 0.2 and of 0.3.
pub async fn interfaces() -> Vec<String> {
    let begun = clocks::monotonic_clock::now();
    clocks::monotonic_clock::wait_for(50_000_000).await;
    let waited = clocks::monotonic_clock::now() - begun;
    let until = clocks::monotonic_clock::now() + 10_000_000;
    clocks::monotonic_clock::wait_until(until).await;
    let (mut writer, reader) = wit_stream::new();
    let written = cli::stdout::write_via_stream(reader);
    writer.write_all(b"by standard output of 0.3\n".to_vec()).await;
    drop(writer);
    let begun = wasip2::clocks::monotonic_clock::now();
    wasip2::clocks::monotonic_clock::subscribe_duration(20_000_000).block();
    let before = wasip2::clocks::monotonic_clock::now() - begun;
    vec![
        format!("waited by 0.3: {}", (50..1000).contains(&(waited / 1_000_000))),
        format!("waited by 0.2: {}", (20..1000).contains(&(before / 1_000_000))),
        format!("not early: {}", clocks::monotonic_clock::now() >= until),
        format!(
            "one time: {}",
            clocks::system_clock::now()
                .seconds
                .abs_diff(wasip2::clocks::wall_clock::now().seconds as i64)
                <= 1
        ),
        format!("written: {:?}", written.await),
        format!(
            "other numbers: {}",
            random::random::get_random_u64() != random::random::get_random_u64()
        ),
        format!("bytes: {}", random::random::get_random_bytes(32).len()),
        format!("insecure: {}", random::insecure::get_insecure_random_u64() != 0),
        format!("arguments: {}", cli::environment::get_arguments().len()),
    ]
}

/// What a plugin has no way to.
pub async fn outside(port: u16) -> Vec<String> {
    vec![
        format!("tcp: {:?}", TcpSocket::create(IpAddressFamily::Ipv4).err()),
        format!("udp: {:?}", UdpSocket::create(IpAddressFamily::Ipv4).err()),
        format!(
            "resolve: {:?}",
            sockets::ip_name_lookup::resolve_addresses("localhost".to_owned())
                .await
                .err()
        ),
        format!("folders: {}", filesystem::preopens::get_directories().len()),
        format!(
            "connect by 0.2: {:?}",
            std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.kind())
        ),
        format!("read by 0.2: {:?}", std::fs::read("/etc/passwd").map_err(|e| e.kind())),
        format!("environment: {}", std::env::vars().count()),
    ]
}
