//! The truth must find exactly what was done to every packet, and must notice every lie.

mod captures;
mod causes;
mod copies;
mod decoder;
mod disagreements;
mod fates;
mod frames;
mod lab;
mod random;
mod views;
mod walk;
