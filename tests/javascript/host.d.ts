// What extensions import of the host's frontend, which has types of its own for no version that is tested here.
declare module "*/scripts/app.js" {
  export const app: any;
}
declare module "*/scripts/api.js" {
  export const api: any;
}
interface Window {
  LiteGraph: any;
}
