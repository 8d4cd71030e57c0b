//! Long lists, sent page by page: a million sessions never stand in memory at once.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::Channel;
use serde::Serialize;

use super::error::Error;
use crate::mgmt::request::{Asker, Cursor, Failure, Filter, Page, Reply, Request, Rows};

/// A JSON list on its way, or why there is none.
pub(super) type Answer = Result<Response, Error>;

/// A question for one page.
type Question<T> = fn(Page, Reply<Rows<T>>) -> Request;

/// Sends what the filter admits as one JSON list, at most `limit` rows.
///
/// The first page is asked for before the answer begins, so that a refusal still has its status code; a
/// failure later breaks the connection off, which the reader notices.
pub(super) async fn stream<T: Serialize + Send + 'static>(
    asker: Asker,
    question: Question<T>,
    filter: Filter,
    limit: usize,
) -> Answer {
    let mut list = List { asker, question, filter, left: limit, text: b"[".to_vec(), empty: true };
    let mut next = list.turn_page(Cursor::default()).await?;
    let (mut sender, body) = Channel::<Bytes, Failure>::new(CHUNKS);
    tokio::spawn(async move {
        while let Some(cursor) = next {
            if sender.send_data(std::mem::take(&mut list.text).into()).await.is_err() {
                return;
            }
            next = match list.turn_page(cursor).await {
                Ok(next) => next,
                Err(failure) => return sender.abort(failure),
            };
        }
        list.text.push(b']');
        // A reader who has gone away is no error.
        let _ = sender.send_data(list.text.into()).await;
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::new(body)).into_response())
}

/// A list that is being read.
struct List<T> {
    asker: Asker,
    question: Question<T>,
    filter: Filter,
    /// How many rows are still wanted.
    left: usize,
    /// What has not been sent yet.
    text: Vec<u8>,
    /// No row was written yet, so the next one needs no comma.
    empty: bool,
}

impl<T: Serialize + Send + 'static> List<T> {
    /// Writes one page down and says where the next begins; none when the list is done.
    async fn turn_page(&mut self, from: Cursor) -> Result<Option<Cursor>, Failure> {
        if self.left == 0 {
            return Ok(None);
        }
        let page = Page { filter: self.filter.clone(), from, limit: self.left.min(PAGE) };
        let answer = self.asker.ask(|reply| (self.question)(page, reply)).await?;
        for row in answer.rows.iter().take(self.left) {
            if !std::mem::replace(&mut self.empty, false) {
                self.text.push(b',');
            }
            serde_json::to_writer(&mut self.text, row)
                .map_err(|why| Failure::Unavailable(format!("a row cannot be written: {why}")))?;
        }
        self.left = self.left.saturating_sub(answer.rows.len());
        Ok(answer.next.filter(|_| self.left > 0))
    }
}

/// Rows asked for at once.
const PAGE: usize = 1024;

/// Pages that wait for a slow reader.
const CHUNKS: usize = 2;
