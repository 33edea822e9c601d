//! Reads the bodies of requests and answers within limits, and decodes compressed ones on the way.
//!
//! The bridge asks nobody to compress. But a proxy or a later version of upstream may do so, and a body that is not
//! decoded looks unreadable: it would be dead-lettered and deleted upstream. So a body is either decoded, or the reader
//! is told that it cannot be.
//!
//! A decoder keeps the last bytes it decoded, up to its window (gzip and deflate 32 KiB, br 16 MiB, zstd 8 MiB). The
//! window holds only decoded bytes, so it takes no more memory than they do.

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

/// The first memory for a body of unknown length. It is doubled as needed.
pub const FIRST_BYTES: usize = 8 * 1024;
/// The limit of RFC 9659. Larger windows are not supported.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// The first bytes of a br stream that wants a window larger than RFC 7932 allows, up to 1 GiB.
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

/// The body has a coding that is not supported here. It has to be sent with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCoding;

impl Coding {
    /// The coding that the head of a request or an answer names.
    ///
    /// # Errors
    /// If it names an unsupported coding, or several.
    pub fn of(head: &HeaderMap) -> Result<Self, UnknownCoding> {
        let names = |header| {
            let lines = head.get_all(header).iter();
            let names = lines.flat_map(|line| line.to_str().unwrap_or("?").split(','));
            names.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty() && name != "identity")
        };
        // hyper removes `chunked`. Any other coding is still there.
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
    /// The connection broke off. The same body may come again.
    Broken(E),
    /// The body does not match its head, or is truncated inside. Reading it again does not help.
    Undecodable,
    /// It is too long. Holds what was read of it.
    TooLong(Vec<u8>),
    /// There is no memory for it.
    NoRoom,
}

/// Why a body's stream ends early, passed through the decoder.
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

/// The whole body, decoded. It may not exceed `bytes_max`, neither as received nor decoded.
///
/// Takes `first_bytes` of memory at once. Before taking more, it asks `may_have` whether that total is allowed.
///
/// # Errors
/// [`ReadError`], if the body cannot be read.
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
        // A body without coding is measured and cut below.
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
            // The body may end exactly here, so ask for memory only once there is more.
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
                    // An empty body is empty, whatever coding its head names.
                    Err(_) if came.load(Ordering::Relaxed) == 0 => return Ok(bytes),
                    Ok(Stop::LargeWindow) | Err(_) => ReadError::Undecodable,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
