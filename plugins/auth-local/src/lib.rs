mod hash;
mod rules;
