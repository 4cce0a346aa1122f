// An embedded weights file: its path.
declare module "*.safetensors" {
  const path: string;
  export default path;
}
