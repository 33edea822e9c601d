//! Files.

use super::super::owned;
use super::{data_object, words_or_error};
use crate::event::content::Media;
use chatbridge_base::json::Json;

pub(super) fn media(place: &Json) -> Media {
    let file = data_object(place, &["fileMessageData"]);
    let (download_url, url_error) = words_or_error(file.get("downloadUrl"));
    let (caption, caption_error) = words_or_error(file.get("caption"));
    Media {
        download_url,
        caption,
        file_name: owned(file.get("fileName")),
        mime_type: owned(file.get("mimeType")),
        thumbnail: owned(file.get("jpegThumbnail")),
        size_bytes: None,
        animated: file.get("isAnimated").boolean(),
        error: url_error.or(caption_error),
    }
}
