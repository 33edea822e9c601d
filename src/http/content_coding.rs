//! Bodies of requests and answers, read within bounds and decoded on the way where they come compressed.
//!
//! Nobody is asked to compress. But a proxy, or a later version of upstream, may do so unasked, and a body that is not
//! decoded looks like one that nobody can read: it would be buried, and forgotten upstream. So a body is decoded, or
//! whoever reads it is told that it cannot be.
//!
//! A decoder keeps what it decoded last, up to its window (gzip and deflate 32 KiB, br 16 MiB, zstd 8 MiB). It fills
//! with decoded bytes and with nothing else, so it takes no more than they do.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

/// How much memory a body gets that does not say how long it is; then twice as much, and so on.
pub const FIRST_BYTES: usize = 8 * 1024;
/// As RFC 9659 has it: whoever compresses with a larger window cannot expect to be understood.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// How a stream of br begins that wants a window beyond RFC 7932, up to 1 GiB.
const LARGE_WINDOW_BROTLI: (u8, u8) = (0x7f, 0x11);

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// `gzip`, also as `x-gzip`.
    Gzip,
    /// `deflate`: zlib's format.
    Deflate,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

/// A body is coded in a way that is not read here: it has to be sent otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCoding;

impl Coding {
    /// What the head of a request or an answer says.
    ///
    /// # Errors
    /// Where it names another coding, or several.
    pub fn of(head: &HeaderMap) -> Result<Self, UnknownCoding> {
        let names = |header| {
            let lines = head.get_all(header).iter();
            let names = lines.flat_map(|line| line.to_str().unwrap_or("?").split(','));
            names.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty() && name != "identity")
        };
        // What hyper takes off is `chunked`. Anything before that stays on.
        if names(TRANSFER_ENCODING).any(|name| name != "chunked") {
            return Err(UnknownCoding);
        }
        let mut codings = names(CONTENT_ENCODING);
        let coding = match codings.next().as_deref() {
            None => Self::Identity,
            Some("gzip" | "x-gzip") => Self::Gzip,
            Some("deflate") => Self::Deflate,
            Some("br") => Self::Brotli,
            Some("zstd") => Self::Zstd,
            Some(_) => return Err(UnknownCoding),
        };
        if codings.next().is_none() { Ok(coding) } else { Err(UnknownCoding) }
    }

    fn decoder<'r>(self, coded: impl tokio::io::AsyncBufRead + Send + 'r) -> Pin<Box<dyn AsyncRead + Send + 'r>> {
        match self {
            Self::Identity => Box::pin(coded),
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(coded);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Self::Deflate => {
                let mut decoder = ZlibDecoder::new(coded);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Self::Brotli => Box::pin(BrotliDecoder::new(coded)),
            Self::Zstd => {
                let mut decoder = ZstdDecoder::with_params(coded, &[DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)]);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        }
    }
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The connection broke off: the same may come again.
    Broken(E),
    /// It is not what its head says, or broken off inside: read again it is no better.
    Undecodable,
    /// It is longer than it may be. What was read of it.
    TooLong(Vec<u8>),
    /// There is no room for it.
    NoRoom,
}

/// What ends the stream of a body before its end, carried through the decoder.
#[derive(Debug)]
enum Stop<E> {
    Broken(E),
    TooLong,
    LargeWindow,
}

impl<E> fmt::Display for Stop<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body ends here")
    }
}

impl<E: fmt::Debug> Error for Stop<E> {}

/// The whole body, decoded. Neither as it comes nor decoded may it be longer than `bytes_max`.
///
/// `first_bytes` of memory are taken at once. Before more is taken, `may_have` is asked whether there may be so much in
/// all.
///
/// # Errors
/// [`ReadError`], where there is no such body.
pub async fn read<B>(
    body: B,
    coding: Coding,
    first_bytes: usize,
    bytes_max: usize,
    mut may_have: impl FnMut(usize) -> bool,
) -> Result<Vec<u8>, ReadError<B::Error>>
where
    B: Body<Data = Bytes> + Send,
    B::Error: fmt::Debug + Send + Sync + 'static,
{
    let came = AtomicUsize::new(0);
    let pieces = body.into_data_stream().map(|piece| {
        let piece = piece.map_err(|error| io::Error::other(Stop::Broken(error)))?;
        let before = came.fetch_add(piece.len(), Ordering::Relaxed);
        let wants_large_window = |first: &u8| first & LARGE_WINDOW_BROTLI.0 == LARGE_WINDOW_BROTLI.1;
        if coding == Coding::Brotli && before == 0 && piece.first().is_some_and(wants_large_window) {
            return Err(io::Error::other(Stop::<B::Error>::LargeWindow));
        }
        // What is not coded is measured below, and cut there.
        if before + piece.len() > bytes_max && coding != Coding::Identity {
            return Err(io::Error::other(Stop::<B::Error>::TooLong));
        }
        Ok(piece)
    });
    let mut decoder = coding.decoder(StreamReader::new(pieces));
    let mut bytes = Vec::with_capacity(first_bytes.min(bytes_max));
    loop {
        let read = if bytes.len() < bytes.capacity().min(bytes_max) {
            (&mut decoder).take((bytes_max - bytes.len()) as u64).read_buf(&mut bytes).await
        } else {
            // It may end exactly here, so nothing is asked for before there is more.
            let mut next = [0];
            let read = decoder.read(&mut next).await;
            if let Ok(1) = read {
                if bytes.len() == bytes_max {
                    return Err(ReadError::TooLong(bytes));
                }
                let wanted = (bytes.len() * 2).max(FIRST_BYTES).min(bytes_max);
                if !may_have(wanted) {
                    return Err(ReadError::NoRoom);
                }
                bytes.reserve_exact(wanted - bytes.len());
                bytes.push(next[0]);
            }
            read
        };
        match read {
            Ok(0) => return Ok(bytes),
            Ok(_) => {}
            Err(error) => {
                return Err(match error.downcast::<Stop<B::Error>>() {
                    Ok(Stop::Broken(error)) => ReadError::Broken(error),
                    Ok(Stop::TooLong) => ReadError::TooLong(bytes),
                    // Nothing is nothing, whatever its head says of it.
                    Err(_) if came.load(Ordering::Relaxed) == 0 => return Ok(bytes),
                    Ok(Stop::LargeWindow) | Err(_) => ReadError::Undecodable,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
