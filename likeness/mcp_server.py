"""Likeness for language models: the Model Context Protocol over standard input and output.

The tools speak to a running service by the published client, under the same rules as everybody:
nobody is registered without a consent.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from likeness_client import AsyncClient, Consent, LikenessError

# A model fills in what a tool demands. That a consent must not be made up has to be said here, and
# again where the argument is described.
INSTRUCTIONS = """Swaps faces in images and videos. Register a person first: ask the user who is
shown in the photos and whether that person agreed, and pass their answer as the consent; never make
one up. Then swap, look at the status until the job has ended, and save the result."""


def server(client: AsyncClient) -> MCPServer:
    """Return the MCP server whose tools use `client`."""
    app = MCPServer("likeness", instructions=INSTRUCTIONS)

    @app.tool()
    async def register(
        photos: list[str],
        consent_subject: str,
        consent_basis: Literal["consent", "self", "contract"] = "consent",
        name: str | None = None,
    ) -> dict[str, Any]:
        """Register one person from 1 to 8 photo files; return the identity with its id.

        `consent_subject` is who is shown and agreed, in the user's own words. Ask for it.
        """
        consent = Consent(consent_subject, consent_basis)
        identity = await _answer_of(client.register(*photos, consent=consent, name=name))
        return asdict(identity)

    @app.tool()
    async def swap(
        identity_id: str, target: str, person_id: str | None = None, everybody: bool = False
    ) -> dict[str, Any]:
        """Begin a swap of a registered person into an image or video file; return the job.

        The largest face is replaced unless a person (as an analysis names them) or everybody is
        chosen.
        """
        # An id wins over `everybody`: naming one person is the narrower wish.
        faces: Any = {"person_id": person_id} if person_id else "all" if everybody else "largest"
        return asdict(await _answer_of(client.submit(target, identity_id, faces=faces)))

    @app.tool()
    async def status(job_id: str) -> dict[str, Any]:
        """Return a job: its status, its progress, and once it has ended its report or its error."""
        return asdict(await _answer_of(client.job(job_id)))

    @app.tool()
    async def result(job_id: str, out: str) -> str:
        """Save the result of a job that has succeeded to the file `out`; return its path.

        A file that is there already is not replaced.
        """
        path = Path(out)
        # A model chooses the path: what already lies there belongs to the user.
        if path.exists():
            raise ToolError(f"{out} is there already: choose another name")

        job = await _answer_of(client.job(job_id))
        if job.result is None:
            raise ToolError(f"the job is {job.status} and has no result")

        return str(await _answer_of(client.download(job, path)))

    @app.tool()
    async def people(target: str) -> dict[str, Any]:
        """Say who is in an image or video file: a name for each person, and when they are seen."""
        found = await _answer_of(client.analyse(target))
        # Without thumbnails, which are kilobytes of base64 that a model cannot look at.
        kept = ("person_id", "frames", "first_seen_s", "last_seen_s", "yaw_range_deg")
        return {"people": [{name: one[name] for name in kept} for one in found["people"]]}

    return app


async def _answer_of(answer: Any) -> Any:  # noqa: ANN401 - whatever the client's call returns
    """Await a call of the client; a refusal becomes a sentence that a model can act on."""
    try:
        return await answer
    except LikenessError as error:
        raise ToolError(f"{error.detail} (code {error.code})") from error
    # A photo or target that cannot be opened: the path is in the answer, so that it can be
    # corrected.
    except OSError as error:
        raise ToolError(f"{error.filename}: {error.strerror}") from error
