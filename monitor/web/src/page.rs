//! The page: files that are part of the program. Nothing of it comes from elsewhere.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::token::Hash;

/// A file of the page.
#[derive(Clone, Copy)]
pub struct Asset {
    /// Where it is asked for.
    pub path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($path:literal: $media_type:literal = $file:literal),* $(,)?) => {
        &[$(Asset { path: $path, media_type: $media_type, text: include_str!(concat!("../assets/", $file)) }),*]
    };
}

/// All files.
pub const ASSETS: &[Asset] = assets![
    "/": "text/html; charset=utf-8" = "index.html",
    "/assets/style.css": "text/css; charset=utf-8" = "style.css",
    "/assets/icon.svg": "image/svg+xml" = "icon.svg",
    "/assets/main.js": "text/javascript; charset=utf-8" = "main.js",
    "/assets/api.js": "text/javascript; charset=utf-8" = "api.js",
    "/assets/dom.js": "text/javascript; charset=utf-8" = "dom.js",
    "/assets/time.js": "text/javascript; charset=utf-8" = "time.js",
    "/assets/list.js": "text/javascript; charset=utf-8" = "list.js",
    "/assets/mvpn.js": "text/javascript; charset=utf-8" = "mvpn.js",
    "/assets/slider.js": "text/javascript; charset=utf-8" = "slider.js",
    "/assets/tree.js": "text/javascript; charset=utf-8" = "tree.js",
    "/assets/pairs.js": "text/javascript; charset=utf-8" = "pairs.js",
    "/assets/oneway.js": "text/javascript; charset=utf-8" = "oneway.js",
    "/assets/changes.js": "text/javascript; charset=utf-8" = "changes.js",
];

impl Asset {
    /// The file, unless whoever asks has it as it is.
    pub fn answer(self, headers: &HeaderMap) -> Response {
        let tag = format!("\"{:?}\"", Hash::of(self.text));
        let known = headers.get(header::IF_NONE_MATCH);
        let fields = [
            (header::CONTENT_TYPE, self.media_type.to_owned()),
            // Asked for each time, so that another version of the program never runs with half of an old page.
            (header::CACHE_CONTROL, "no-cache".to_owned()),
            (header::ETAG, tag.clone()),
        ];
        match known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            true => (StatusCode::NOT_MODIFIED, fields).into_response(),
            false => (fields, self.text).into_response(),
        }
    }
}
