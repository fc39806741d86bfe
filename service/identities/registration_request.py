"""What a client asks for with POST /v1/identities: photos by one of three ways, and the form."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from service import schemas
from service.intake.forms import FormRules, read_form
from service.intake.incoming import Incoming
from service.protocol.bodies import BodyReader, media_type, parse_fields


@dataclass(frozen=True)
class RegistrationRequest:
    """One person's name, consent and photos.

    Photos are uploads, or lie behind URLs, or came with the request and are in its `Incoming`.
    With `erased_after_s` the identity is erased after that many seconds.
    """

    form: schemas.RegisterForm
    upload_ids: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    erased_after_s: float | None = None

    def facts(self, incoming: Incoming) -> tuple[str, ...]:
        """Return what tells this request from another one with the same Idempotency-Key."""
        # Of what came with the request; uploads and URLs are told apart by their names.
        digests = [file.sha256 for file in incoming.files]
        return (*self.upload_ids, *self.urls, *digests, self.form.model_dump_json())


async def read_registration(
    request: Request, bodies: BodyReader, rules: FormRules, incoming: Incoming
) -> RegistrationRequest:
    """Return the registration that a JSON or multipart body describes.

    Photos of a form are received into `incoming`.
    """
    if media_type(request) == "multipart/form-data":
        fields = await read_form(request, bodies, (rules, incoming))
        return RegistrationRequest(parse_fields(fields, schemas.RegisterForm, ("consent",)))

    body = await bodies.json(request, schemas.RegisterRequest)
    # From here on it does not matter how the photos came.
    form = schemas.RegisterForm(name=body.name, consent=body.consent, quality=body.quality)
    return RegistrationRequest(form, upload_ids=body.upload_ids or (), urls=body.urls or ())
