//! The control thread's tasks for one half: its file, its stream, its ports.

use std::{path::Path, sync::Arc};

use super::{
    documents::{
        Consumer, Intake, Numbered,
        file::{self, DocumentFile},
        stream::{self, StreamSource},
    },
    listen::Listeners,
    metrics::Metrics,
    worker::Port,
};

/// One half's sources of documents.
pub struct Half<'a, C> {
    /// Where documents go.
    pub consumer: Arc<C>,
    /// Where files are.
    pub directory: &'a Path,
    /// The document's file name.
    pub file: &'a str,
    /// The stream's URL and the projected tokens.
    pub stream: Option<StreamSource>,
    /// What its ports are for.
    pub port: fn(u16) -> Port,
}

impl<C: Consumer> Half<'_, C> {
    /// Takes the file's document, if there is one, then follows file and stream
    /// for as long as the runtime lives.
    pub fn start(self, listeners: &Arc<Listeners>, metrics: &Arc<Metrics>) {
        let Self { consumer, directory, file, stream, port } = self;
        let intake = Intake::new(Arc::clone(&consumer), Arc::clone(metrics));
        let listeners = Arc::clone(listeners);
        let bind = move || listeners.bind_all(consumer.ports().into_iter().map(port));
        let mut document = DocumentFile::new(directory, file);
        if document.offer(&intake).is_none() {
            tracing::info!(half = C::Document::HALF, path = %directory.join(file).display(), "no document yet");
        }
        bind();
        tokio::spawn(file::watch(document, Arc::clone(&intake), bind.clone()));
        if let Some(source) = stream {
            tokio::spawn(stream::follow(source, intake, Arc::clone(metrics), bind));
        }
    }
}
