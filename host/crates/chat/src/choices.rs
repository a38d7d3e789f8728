//! What the backend offers to choose from, the files of its project folders, and the providers of its models. Nothing of it is
//! kept: whoever looks asks the backend.

use crate::error::ChatError;
use crate::service::ChatService;
use nexus_model::chat::{
    AgentList, BrowserSignIn, Command, Feature, FileContent, FileEntry, FoundLine, ModelList, Provider, SignInValues,
    Workspace,
};
use nexus_plugin_traits::ChatBackend;
use std::path::Path;
use std::sync::Arc;

impl ChatService {
    /// Lists the models that can be used in a workspace; `None`: the configured one.
    ///
    /// # Errors
    /// The backend is not up, has no such list, or not this workspace. So it is with all of these.
    pub async fn models(&self, workspace: Option<String>) -> Result<ModelList, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.models(&workspace).await?)
    }

    /// Lists the agents that a prompt can be sent to.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn agents(&self, workspace: Option<String>) -> Result<AgentList, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.agents(&workspace).await?)
    }

    /// Lists the commands.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn commands(&self, workspace: Option<String>) -> Result<Vec<Command>, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.commands(&workspace).await?)
    }

    /// Lists the project folders in which sessions may be created.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, ChatError> {
        Ok(self.shared.backend(None)?.1.workspaces().await?)
    }

    /// Finds files and folders by a part of their path, the best first.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn search_files(
        &self,
        workspace: Option<String>,
        query: &str,
        limit: u32,
    ) -> Result<Vec<FileEntry>, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.search_files(&workspace, query, limit).await?)
    }

    /// Lists what is in a folder; the workspace itself is empty.
    ///
    /// # Errors
    /// As [`Self::models`]. `NotFound`: there is no such folder.
    pub async fn list_folder(&self, workspace: Option<String>, folder: &str) -> Result<Vec<FileEntry>, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.list_folder(&workspace, folder).await?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Self::models`]. `NotFound`: there is no such file.
    pub async fn read_file(&self, workspace: Option<String>, path: &str) -> Result<FileContent, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.read_file(&workspace, path).await?)
    }

    /// Finds lines by a text.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn find_lines(
        &self,
        workspace: Option<String>,
        text: &str,
        limit: u32,
    ) -> Result<Vec<FoundLine>, ChatError> {
        let (backend, workspace) = self.there(workspace).await?;
        Ok(backend.find_lines(&workspace, text, limit).await?)
    }

    /// Lists the providers of models.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn providers(&self) -> Result<Vec<Provider>, ChatError> {
        Ok(self.shared.backend(None)?.1.providers().await?)
    }

    /// Signs in to a provider with what the user typed.
    ///
    /// # Errors
    /// As [`Self::models`]. `Refused`: a value is missing, or not accepted.
    pub async fn sign_in(&self, provider: &str, method: &str, values: SignInValues) -> Result<(), ChatError> {
        let (_, backend) = self.shared.backend(None)?;
        Ok(backend.sign_in(provider, method, values).await?)
    }

    /// Begins to sign in at a page of the provider.
    ///
    /// # Errors
    /// As [`Self::sign_in`].
    pub async fn begin_sign_in(
        &self,
        provider: &str,
        method: &str,
        values: SignInValues,
    ) -> Result<BrowserSignIn, ChatError> {
        let (_, backend) = self.shared.backend(None)?;
        Ok(backend.begin_sign_in(provider, method, values).await?)
    }

    /// Ends that, once the user is done there.
    ///
    /// # Errors
    /// As [`Self::sign_in`]. `Unavailable`: the user is not done yet; ask again.
    pub async fn finish_sign_in(&self, provider: &str, method: &str, code: Option<String>) -> Result<(), ChatError> {
        let (_, backend) = self.shared.backend(None)?;
        Ok(backend.finish_sign_in(provider, method, code).await?)
    }

    /// Removes the credential for a provider.
    ///
    /// # Errors
    /// As [`Self::models`].
    pub async fn sign_out(&self, provider: &str) -> Result<(), ChatError> {
        Ok(self.shared.backend(None)?.1.sign_out(provider).await?)
    }

    /// `there` is the open backend, and the workspace as it is told: empty for the configured one. No other one reaches a backend
    /// than it has listed itself.
    pub(crate) async fn there(&self, workspace: Option<String>) -> Result<(Arc<dyn ChatBackend>, String), ChatError> {
        let (_, backend) = self.shared.backend(None)?;
        let Some(wanted) = workspace else {
            return Ok((backend, String::new()));
        };
        if backend.features().contains(&Feature::Workspaces) {
            let known = backend.workspaces().await?.into_iter();
            // A path ends with a slash or does not: it means the same folder.
            let mut same = known.filter(|workspace| Path::new(&workspace.path) == Path::new(&wanted));
            return match same.next() {
                Some(workspace) => Ok((backend, workspace.path)),
                None => Err(ChatError::Refused(format!(
                    "{} does not work in the folder {wanted:?}. To fix: leave `workspace` out for the configured folder, or \
                     choose one of `GET /api/v1/backend/workspaces`.",
                    backend.title()
                ))),
            };
        }
        // It has no list of them.
        Err(ChatError::Refused(format!(
            "{} works in the configured folder only, and not in {wanted:?}. To fix: leave `workspace` out.",
            backend.title()
        )))
    }
}
