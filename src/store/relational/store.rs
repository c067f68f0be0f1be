//! [`Store`] on every [`Relational`] database.

use async_trait::async_trait;
use uuid::Uuid;

use super::super::{
    AgentRow, BeginFetch, EncodedDays, EndFetch, Size, SourceRef, SourceRow, Store, StoreError,
};
use super::{Relational, catalogue, data, fence, log, sources};
use crate::domain::agent::AgentResource;
use crate::domain::agent_day::{AgentDay, Day};
use crate::domain::data_source::{SourceId, SourceKey};
use crate::domain::description::Description;
use crate::domain::fetch::{FetchRecord, Import};
use crate::domain::plan::CursorUpdate;
use crate::domain::status::Stored;

#[async_trait]
impl<R: Relational + ?Sized> Store for R {
    async fn begin_term(&self) -> Result<i64, StoreError> {
        fence::begin_term(self).await
    }

    async fn take(&self, id: SourceId) -> Result<bool, StoreError> {
        fence::take(self, id).await
    }

    async fn observe(&self, source: &SourceRef, history: usize) -> Result<Stored, StoreError> {
        let mut reading = self.snapshot().await?;
        if !sources::is_known(reading.as_mut(), source).await? {
            reading.commit().await?;
            let mut writing = fence::writing(self, source.id).await?;
            sources::enter(writing.as_mut(), source).await?;
            // Of a row that was not there nobody could be asked whose it is.
            fence::hold(self, writing.as_mut(), source.id).await?;
            writing.commit().await?;
            reading = self.snapshot().await?;
        }
        let mut stored = sources::stored(reading.as_mut(), source, history).await?;
        stored.agents = data::first_agents(reading.as_mut(), source.id).await?;
        reading.commit().await?;
        Ok(stored)
    }

    async fn advance_cursor(&self, id: SourceId, update: &CursorUpdate) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, id).await?;
        sources::advance_cursor(writing.as_mut(), id, update).await?;
        writing.commit().await
    }

    async fn set_reader(&self, id: SourceId, reader: &str) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, id).await?;
        sources::set_reader(writing.as_mut(), id, reader).await?;
        writing.commit().await
    }

    async fn describe(&self, id: SourceId, description: &Description) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, id).await?;
        catalogue::describe(writing.as_mut(), id, description).await?;
        writing.commit().await
    }

    async fn begin_fetch(&self, begin: &BeginFetch) -> Result<Uuid, StoreError> {
        let mut writing = fence::writing(self, begin.source).await?;
        let fetch = log::begin(writing.as_mut(), begin).await?;
        writing.commit().await?;
        Ok(fetch)
    }

    async fn complete_fetch(&self, end: &EndFetch) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, end.source).await?;
        log::complete(writing.as_mut(), end).await?;
        writing.commit().await
    }

    async fn import_blocks(
        &self,
        end: &EndFetch,
        encoded: EncodedDays,
    ) -> Result<Import, StoreError> {
        let mut writing = fence::writing(self, end.source).await?;
        let replaced = data::replace(writing.as_mut(), end.source, encoded).await?;
        let import = log::complete_import(writing.as_mut(), end, replaced).await?;
        writing.commit().await?;
        Ok(import)
    }

    async fn abandon_fetch(&self, id: SourceId, fetch: Uuid) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, id).await?;
        log::abandon(writing.as_mut(), id, fetch).await?;
        writing.commit().await
    }

    async fn retire(&self, id: SourceId) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, id).await?;
        sources::retire(writing.as_mut(), id).await?;
        writing.commit().await
    }

    async fn delete(&self, id: SourceId) -> Result<(), StoreError> {
        let mut writing = fence::writing(self, id).await?;
        sources::delete(writing.as_mut(), id).await?;
        writing.commit().await
    }

    async fn sources(&self) -> Result<Vec<SourceRow>, StoreError> {
        catalogue::sources(self.reading().await?.as_mut()).await
    }

    async fn present_sources(&self) -> Result<Vec<(SourceId, SourceKey)>, StoreError> {
        catalogue::present_sources(self.reading().await?.as_mut()).await
    }

    async fn source(&self, key: &SourceKey) -> Result<Option<SourceRow>, StoreError> {
        catalogue::source(self.reading().await?.as_mut(), key).await
    }

    async fn size(&self, id: SourceId) -> Result<Size, StoreError> {
        catalogue::size(self.reading().await?.as_mut(), id).await
    }

    async fn agent_holders(
        &self,
        namespace: &str,
        code: &str,
    ) -> Result<Vec<(SourceRow, AgentRow)>, StoreError> {
        catalogue::agent_holders(self.reading().await?.as_mut(), namespace, code).await
    }

    async fn agent_list(&self) -> Result<Vec<(SourceId, AgentRow)>, StoreError> {
        catalogue::agent_list(self.reading().await?.as_mut()).await
    }

    async fn put_agent(&self, resource: &AgentResource) -> Result<bool, StoreError> {
        let mut writing = fence::writing_agents(self, &resource.namespace).await?;
        let changed = catalogue::put_agent(writing.as_mut(), resource).await?;
        writing.commit().await?;
        Ok(changed)
    }

    async fn remove_agent(&self, namespace: &str, name: &str) -> Result<(), StoreError> {
        let mut writing = fence::writing_agents(self, namespace).await?;
        catalogue::remove_agent(writing.as_mut(), namespace, name).await?;
        writing.commit().await
    }

    async fn agent_resources(
        &self,
        namespace: Option<&str>,
    ) -> Result<Vec<AgentResource>, StoreError> {
        catalogue::agent_resources(self.reading().await?.as_mut(), namespace).await
    }

    async fn agents(&self, id: SourceId) -> Result<Vec<AgentRow>, StoreError> {
        data::agents(self.reading().await?.as_mut(), id).await
    }

    async fn agent_days(
        &self,
        id: SourceId,
        agent: &str,
        from: Day,
        to: Day,
    ) -> Result<Vec<AgentDay>, StoreError> {
        data::agent_days(self.reading().await?.as_mut(), id, agent, from, to).await
    }

    async fn fetches(
        &self,
        id: SourceId,
        limit: usize,
        before: Option<Uuid>,
    ) -> Result<Vec<FetchRecord>, StoreError> {
        log::fetches(self.reading().await?.as_mut(), id, limit, before).await
    }

    async fn turned_away(&self) {
        Relational::turned_away(self).await;
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let mut reading = self.reading().await?;
        reading.rows("SELECT 1 AS one", &[]).await.map(drop)
    }

    async fn close(&self) {
        Relational::close(self).await;
    }
}
