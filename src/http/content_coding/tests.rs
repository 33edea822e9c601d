use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

const CODINGS: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

fn head(lines: &[(HeaderName, &[u8])]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).expect("a value"))).collect()
}

async fn coded(coding: Coding, plain: &[u8]) -> Vec<u8> {
    macro_rules! with {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            encoder.write_all(plain).await.expect("a Vec takes every byte");
            encoder.shutdown().await.expect("a Vec takes every byte");
            encoder.into_inner()
        }};
    }
    match coding {
        Coding::Identity => plain.to_vec(),
        Coding::Gzip => with!(GzipEncoder::new(Vec::new())),
        Coding::Deflate => with!(ZlibEncoder::new(Vec::new())),
        Coding::Brotli => with!(BrotliEncoder::with_quality(Vec::new(), Level::Fastest)),
        Coding::Zstd => with!(ZstdEncoder::new(Vec::new())),
    }
}

async fn all_of(
    coding: Coding,
    coded: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, ReadError<std::convert::Infallible>> {
    read(Full::new(Bytes::copy_from_slice(coded)), coding, 0, bytes_max, |_| true).await
}

/// Of a body that says how long it is.
async fn read_exactly(coding: Coding, plain: &[u8]) -> Vec<u8> {
    let body = Full::new(Bytes::from(coded(coding, plain).await));
    read(body, coding, plain.len(), 1_000, |_| panic!("nothing more is needed")).await.expect("whole")
}

#[test]
fn a_head_names_one_coding_that_is_known_or_it_is_refused() {
    let (content, transfer) = (CONTENT_ENCODING, TRANSFER_ENCODING);
    for (lines, expected) in [
        (&[][..], Ok(Coding::Identity)),
        (&[(content.clone(), &b"identity"[..])], Ok(Coding::Identity)),
        (&[(content.clone(), b"")], Ok(Coding::Identity)),
        (&[(content.clone(), b"gzip")], Ok(Coding::Gzip)),
        (&[(content.clone(), b" X-GZip ")], Ok(Coding::Gzip)),
        (&[(content.clone(), b"deflate")], Ok(Coding::Deflate)),
        (&[(content.clone(), b"identity, br")], Ok(Coding::Brotli)),
        (&[(content.clone(), b"zstd")], Ok(Coding::Zstd)),
        (&[(content.clone(), b"compress")], Err(UnknownCoding)),
        (&[(content.clone(), b"aws-chunked")], Err(UnknownCoding)),
        (&[(content.clone(), b"\xff")], Err(UnknownCoding)),
        (&[(content.clone(), b"gzip, gzip")], Err(UnknownCoding)),
        (&[(content.clone(), b"gzip"), (content.clone(), b"br")], Err(UnknownCoding)),
        (&[(transfer.clone(), b"chunked")], Ok(Coding::Identity)),
        (&[(transfer.clone(), b"gzip, chunked")], Err(UnknownCoding)),
        (&[(transfer.clone(), b"gzip"), (transfer.clone(), b"chunked")], Err(UnknownCoding)),
    ] {
        assert_eq!(Coding::of(&head(lines)), expected, "{lines:?}");
    }
}

#[tokio::test]
async fn what_was_coded_is_read_and_whatever_is_missing_or_wrong_is_noticed() {
    let plain = include_bytes!("../../../tests/fixtures/poll.json");
    for coding in CODINGS {
        let whole = coded(coding, plain).await;
        assert_eq!(all_of(coding, &whole, 100_000).await.expect("whole"), plain, "{coding:?}");
        assert_eq!(all_of(coding, &whole, plain.len()).await.expect("whole"), plain, "{coding:?}: exactly so long");
        let cut = all_of(coding, &whole, plain.len() - 1).await;
        let Err(ReadError::TooLong(kept)) = cut else { panic!("{coding:?}: one byte too long: {cut:?}") };
        assert_eq!(kept, plain[..plain.len() - 1], "{coding:?}");
        if coding == Coding::Identity {
            continue;
        }
        for length in 1..whole.len() {
            let cut = all_of(coding, &whole[..length], 100_000).await;
            assert!(matches!(cut, Err(ReadError::Undecodable)), "{coding:?} cut to {length}: {cut:?}");
        }
        let other = all_of(coding, plain, 100_000).await;
        assert!(matches!(other, Err(ReadError::Undecodable)), "{coding:?}: never coded: {other:?}");
        assert!(all_of(coding, b"", 100_000).await.is_ok_and(|bytes| bytes.is_empty()), "{coding:?}: nothing");
    }
}

#[tokio::test]
async fn what_is_joined_is_read_to_its_end() {
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
        let twice = [coded(coding, b"one ").await, coded(coding, b"two").await].concat();
        assert_eq!(all_of(coding, &twice, 100).await.expect("whole"), b"one two", "{coding:?}");
        let and_more = [&coded(coding, b"one ").await[..], b"nothing that is coded"].concat();
        assert!(matches!(all_of(coding, &and_more, 100).await, Err(ReadError::Undecodable)), "{coding:?}");
    }
}

#[tokio::test]
async fn what_swells_is_cut_and_takes_no_more_room_than_it_was_given() {
    let zeroes = vec![0; 8 * 1024 * 1024];
    for coding in CODINGS {
        let coded = coded(coding, &zeroes).await;
        let may_have = |most: usize| {
            let coded = coded.clone();
            async move {
                let mut asked = Vec::new();
                let read = read(Full::new(Bytes::from(coded)), coding, 10, 1_000_000, |bytes| {
                    asked.push(bytes);
                    bytes <= most
                });
                (read.await, asked)
            }
        };
        let (read, asked) = may_have(usize::MAX).await;
        assert!(matches!(read, Err(ReadError::TooLong(kept)) if kept.len() == 1_000_000), "{coding:?}");
        assert!(asked.is_sorted() && asked.len() < 20 && asked.last() == Some(&1_000_000), "{coding:?}: {asked:?}");
        let (read, asked) = may_have(100_000).await;
        assert!(matches!(read, Err(ReadError::NoRoom)), "{coding:?}");
        assert_eq!(asked.iter().filter(|bytes| **bytes > 100_000).count(), 1, "{coding:?}: {asked:?}");
        let exact = read_exactly(coding, &[7; 50]).await;
        assert_eq!(exact, [7; 50], "{coding:?}: no more is asked for than is needed");
    }
    // Coded, it may be longer than what it stands for.
    let nothing = coded(Coding::Gzip, b"").await.repeat(100);
    assert!(matches!(all_of(Coding::Gzip, &nothing, 1_000).await, Err(ReadError::TooLong(kept)) if kept.is_empty()));
}

#[tokio::test]
async fn windows_that_want_too_much_memory_are_refused() {
    // The head of a frame whose window is 2^27 bytes, as `zstd --ultra --long=27` writes it.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
    assert!(matches!(all_of(Coding::Zstd, &zstd, 100).await, Err(ReadError::Undecodable)));
    // 2^30 bytes, as `brotli --large_window=30` writes it, and an empty last block.
    let brotli = [0x11, 0x1e, 0x03];
    assert!(matches!(all_of(Coding::Brotli, &brotli, 100).await, Err(ReadError::Undecodable)));
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_told_from_a_body_that_is_wrong() {
    for coding in CODINGS {
        let coded = coded(coding, b"{\"a\":1}").await;
        let pieces = [Ok(Frame::data(Bytes::copy_from_slice(&coded[..coded.len() - 1]))), Err("reset")];
        let body = StreamBody::new(futures_util::stream::iter(pieces));
        let broken = read(body, coding, 0, 100, |_| true).await;
        assert!(matches!(broken, Err(ReadError::Broken("reset"))), "{coding:?}: {broken:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic_or_give_more_than_it_may(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for coding in CODINGS {
            let read = runtime.block_on(all_of(coding, &bytes, 100));
            prop_assert!(read.map_or(true, |read| read.len() <= 100));
        }
    }
}
