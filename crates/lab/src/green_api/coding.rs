//! Bodies that come compressed, asked for or not.

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// `Content-Encoding: gzip`
    Gzip,
    /// `Content-Encoding: deflate`, in zlib's format.
    Deflate,
    /// `Content-Encoding: br`
    Br,
    /// `Content-Encoding: zstd`
    Zstd,
    /// `Content-Encoding: compress`, which nobody can read: nor is it.
    Compress,
}

impl Coding {
    /// What stands in the head.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Compress => "compress",
        }
    }

    pub(super) async fn encode(self, plain: &[u8]) -> Bytes {
        match self {
            Self::Gzip => written(GzipEncoder::new(Vec::new()), plain, GzipEncoder::into_inner).await,
            Self::Deflate => written(ZlibEncoder::new(Vec::new()), plain, ZlibEncoder::into_inner).await,
            Self::Br => {
                let encoder = BrotliEncoder::with_quality(Vec::new(), Level::Fastest);
                written(encoder, plain, BrotliEncoder::into_inner).await
            }
            Self::Zstd => written(ZstdEncoder::new(Vec::new()), plain, ZstdEncoder::into_inner).await,
            Self::Compress => Bytes::copy_from_slice(plain),
        }
    }
}

async fn written<E: AsyncWrite + Unpin>(mut encoder: E, plain: &[u8], into_inner: fn(E) -> Vec<u8>) -> Bytes {
    // Into memory, which takes every byte.
    let _ = encoder.write_all(plain).await;
    let _ = encoder.shutdown().await;
    into_inner(encoder).into()
}
