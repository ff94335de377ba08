import { type DescribedEndpoint, type EndpointOptions, endpoints } from '../contract/endpoints.ts';

/** The endpoints that these options mount, among them one that serves the OpenAPI document of all. */
export function endpointsWithDocument(options: EndpointOptions): readonly DescribedEndpoint[] {
  let kept: readonly [before: string, after: string] | undefined;
  return endpoints(options, async (table, path) => {
    kept ??= await documentAround(table);
    const [before, after] = kept;
    return before + JSON.stringify(path.slice(0, -'/openapi.json'.length) || '/') + after;
  });
}

/**
 * The text of the document before and after the path that the endpoints are mounted under, which is all
 * that changes from one request to another. Clients can choose that path (`app.use('/:tenant', …)`), so
 * whole documents by their paths would fill the memory. The builder is loaded when somebody first asks:
 * few ever do.
 */
async function documentAround(
  table: readonly DescribedEndpoint[],
): Promise<readonly [before: string, after: string]> {
  const { openApi } = await import('../openapi/document.ts');
  const placeholder = '\0';
  const text = JSON.stringify(openApi(table, { mount: placeholder }));
  const [before = '', after = ''] = text.split(JSON.stringify(placeholder));
  return [before, after];
}
