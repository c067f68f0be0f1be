mod openapi;
mod v1;
