//! Cloudflare's edge on loopback, for whoever writes a tunnel plugin: prints how to start the real cloudflared against
//! it, and serves until it is ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use nexus_tests::edge::Edge;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let edge = Edge::start().await;
    let folder = std::env::temp_dir().join("cloudflare-edge");
    let cloudflared = std::env::var_os("NEXUS_TEST_CLOUDFLARED").unwrap_or_else(|| "cloudflared".into());
    let wrapper = edge.wrapper(&folder, cloudflared.as_ref());
    println!("quick service  http://{}", edge.quick);
    println!(
        "edge           {} (QUIC and HTTP/2; the authority is {})",
        edge.edge,
        folder.join("authority.pem").display()
    );
    println!(
        "public side    https://{} (send the tunnel's name as Host)",
        edge.public
    );
    println!(
        "Start the real one, pinned to these:\n  {} tunnel --url http://127.0.0.1:PORT",
        wrapper.display()
    );
    std::future::pending::<()>().await;
}
