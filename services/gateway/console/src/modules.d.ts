/** Stylesheets are imported for their effect: the bundler joins them into one file. */
declare module "*.css";
