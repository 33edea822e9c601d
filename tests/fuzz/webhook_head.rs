//! Whatever bytes come over a connection to the webhook's listener, the connection comes to its end, every answer is
//! one that is documented, and there is no 200 without a token and without the broker's word.
//!
//! The bytes go through the listener's own connection and router, into intakes whose broker always says yes. They come
//! once as a whole and once piece by piece, which makes no difference to an answer, and once from a caller who hangs up
//! behind them. Then they are the body of a call that is in order, compressed as their first byte says. Time is the
//! runtime's own: where everybody waits it goes on to the next deadline.
//!
//! Ten minutes on one core, shared and at low priority, with an empty corpus beside the heads: 783,816 runs (1,304 a
//! second, each of four connections), 6,652 edges covered, 62 MB at most, nothing found. A dictionary makes no
//! difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use listener::{Caller, INSTANCE, Listener, TOKENS};

mod listener;

const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];
/// What is answered, and nothing else: neither 500 nor anything that upstream would take for a 200.
const STATUSES: [u16; 14] = [100, 200, 400, 401, 403, 404, 405, 408, 413, 414, 415, 417, 431, 503];

thread_local! {
    static LISTENER: Listener = Listener::new();
}

fuzz_target!(|bytes: &[u8]| {
    LISTENER.with(|listener| {
        let whole = judged(listener, bytes, Caller::Waits);
        let pieces = judged(listener, bytes, Caller::WaitsPieceByPiece);
        // Where a body is not read for its answer, what has come of it decides whether the connection is kept.
        let is_same = whole.starts_with(&pieces) || pieces.starts_with(&whole);
        assert!(is_same, "{whole:?}, but piece by piece {pieces:?}");
        judged(listener, bytes, Caller::HangsUp);
        judged(listener, &call(bytes), Caller::Waits);
    });
});

/// The statuses that were answered.
fn judged(listener: &Listener, bytes: &[u8], caller: Caller) -> Vec<u16> {
    let served = listener.serve(bytes, caller);
    let statuses = served.statuses();
    assert!(statuses.iter().all(|status| STATUSES.contains(status)), "{statuses:?}");
    let acknowledged = statuses.iter().filter(|status| **status == 200).count();
    let has_token = TOKENS.iter().any(|token| bytes.windows(token.len()).any(|part| part == token.as_bytes()));
    assert!(has_token || (acknowledged == 0 && served.published == 0), "nobody without a token gets in");
    assert!(acknowledged == 0 || served.published > 0, "no 200 without the broker's word");
    if caller != Caller::HangsUp {
        assert!(acknowledged >= served.published, "what the broker has is acknowledged");
    }
    statuses
}

/// A call whose body the bytes are.
fn call(bytes: &[u8]) -> Vec<u8> {
    let (coding, body) = bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first), rest));
    let (coding, length) = (CODINGS[coding % CODINGS.len()], body.len());
    let head = format!(
        "POST /green-api/{INSTANCE} HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-encoding: {coding}\r\n\
         content-length: {length}\r\n\r\n",
        TOKENS[0]
    );
    [head.as_bytes(), body].concat()
}
