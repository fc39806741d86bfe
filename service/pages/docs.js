// Requests that are tried go to where this page came from, whatever address the document names. The
// key that is entered stays in this tab.
const answer = await fetch("/openapi.json");
const spec = await answer.json();
spec.servers = [{ url: location.origin, description: "This service." }];

SwaggerUIBundle({
  spec,
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
