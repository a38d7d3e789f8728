#![allow(clippy::unwrap_used)]

use crate::capabilities::test_gate::gate;
use nexus_config::resolved::Grants;
use nexus_model::limits;
use nexus_model::token_bucket::TokenBucket;

#[tokio::test(start_paused = true)]
async fn who_reads_transcripts_again_and_again_has_to_wait() {
    let gate = gate(Grants::default());
    let reads = TokenBucket::new(limits::TRANSCRIPT_READS as f64, limits::TRANSCRIPT_WINDOW);
    let most = limits::TRANSCRIPT_READS / limits::TRANSCRIPT_COST as u64;
    for n in 0..most {
        assert_eq!(gate.another_reading(&reads), Ok(()), "{n}");
    }
    let said = gate.another_reading(&reads).unwrap_err().0;
    assert!(
        said.contains("64 MiB of transcripts within 60 s") && said.contains("again in"),
        "{said}"
    );
    tokio::time::advance(limits::TRANSCRIPT_WINDOW).await;
    assert_eq!(gate.another_reading(&reads), Ok(()));
}
