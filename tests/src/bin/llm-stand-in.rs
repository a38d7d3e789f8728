//! The stand-in for the model as a program: `llm-stand-in [ADDR:PORT]`. It prints its URL and runs until it is killed.

use nexus_tests::llm::Llm;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let llm = Llm::listen(address).await?;
    println!("llm stand-in listening on {}", llm.url());
    llm.serve().await;
    Ok(())
}
