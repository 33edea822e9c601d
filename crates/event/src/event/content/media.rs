//! Files.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::event::UpstreamError;

/// A file in a message.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Media {
    /// Where to fetch it. Treat as confidential: it may hold parts of the instance's path.
    pub download_url: Option<String>,
    /// The text beneath it.
    pub caption: Option<String>,
    /// Its name; a real one only for documents.
    pub file_name: Option<String>,
    /// Its MIME type.
    pub mime_type: Option<String>,
    /// A small picture of it: JPEG in base64.
    pub thumbnail: Option<String>,
    /// ChatApp: how long it is, where upstream says so.
    pub size_bytes: Option<i64>,
    /// Whether it moves.
    pub animated: Option<bool>,
    /// Why there is no file.
    pub error: Option<UpstreamError>,
}
