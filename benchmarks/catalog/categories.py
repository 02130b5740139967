"""The categories that labels use, and the groups in which agreement is told."""

from typing import Final

#: Instead of a category: a person must look.
UNKNOWN: Final = "unknown"
#: The category of keys of persons and of references to them.
REFERENCE: Final = "user.unique_id"

#: Each key about a user in the default taxonomy of fideslang 3.1.4 → group.
GROUPS: Final = {
    "user": "other",
    "user.account": "account",
    "user.account.settings": "preferences",
    "user.account.username": "account",
    "user.authorization": "credentials",
    "user.authorization.biometric": "credentials",
    "user.authorization.credentials": "credentials",
    "user.authorization.password": "credentials",
    "user.behavior": "behavior",
    "user.behavior.browsing_history": "behavior",
    "user.behavior.media_consumption": "behavior",
    "user.behavior.purchase_history": "behavior",
    "user.behavior.search_history": "behavior",
    "user.biometric": "health",
    "user.biometric.fingerprint": "health",
    "user.biometric.health": "health",
    "user.biometric.retinal": "health",
    "user.biometric.voice": "health",
    "user.childrens": "demographic",
    "user.contact": "other",
    "user.contact.address": "address",
    "user.contact.address.city": "address",
    "user.contact.address.country": "address",
    "user.contact.address.postal_code": "address",
    "user.contact.address.state": "address",
    "user.contact.address.street": "address",
    "user.contact.email": "email",
    "user.contact.fax_number": "phone",
    "user.contact.organization": "work",
    "user.contact.phone_number": "phone",
    "user.contact.url": "online",
    "user.content": "content",
    "user.content.private": "content",
    "user.content.public": "content",
    "user.content.self_image": "image",
    "user.criminal_history": "demographic",
    "user.demographic": "demographic",
    "user.demographic.age_range": "demographic",
    "user.demographic.date_of_birth": "demographic",
    "user.demographic.gender": "demographic",
    "user.demographic.language": "demographic",
    "user.demographic.marital_status": "demographic",
    "user.demographic.political_opinion": "demographic",
    "user.demographic.profile": "demographic",
    "user.demographic.race_ethnicity": "demographic",
    "user.demographic.religious_belief": "demographic",
    "user.demographic.sexual_orientation": "demographic",
    "user.device": "device",
    "user.device.cookie": "device",
    "user.device.cookie_id": "device",
    "user.device.device_id": "device",
    "user.device.ip_address": "device",
    "user.financial": "financial",
    "user.financial.bank_account": "financial",
    "user.financial.credit_card": "financial",
    "user.government_id": "government id",
    "user.government_id.birth_certificate": "government id",
    "user.government_id.drivers_license_number": "government id",
    "user.government_id.immigration": "government id",
    "user.government_id.national_identification_number": "government id",
    "user.government_id.passport_number": "government id",
    "user.government_id.vehicle_registration": "government id",
    "user.health_and_medical": "health",
    "user.health_and_medical.genetic": "health",
    "user.health_and_medical.insurance_beneficiary_id": "health",
    "user.health_and_medical.record_id": "health",
    "user.job_title": "work",
    "user.location": "location",
    "user.location.imprecise": "location",
    "user.location.precise": "location",
    "user.name": "name",
    "user.name.first": "name",
    "user.name.last": "name",
    "user.payment": "financial",
    "user.privacy_preferences": "preferences",
    "user.sensor": "device",
    "user.social": "behavior",
    "user.telemetry": "device",
    REFERENCE: "reference",
    "user.unique_id.pseudonymous": "reference",
    "user.user_sensor": "device",
    "user.workplace": "work",
}

#: Groups whose values single out or reach a person by themselves: what most tools look for.
DIRECT: Final = frozenset(
    {"name", "email", "phone", "address", "government id", "credentials", "device", "online", "image"}
    | {"location", "demographic", "account"}
)

#: What its repository has renamed since; a key that is nowhere here counts by its longest prefix that is.
_NEWER: Final = {
    "user.biometrics": "health",
    "user.children": "demographic",
    "user.contact.social_url": "online",
    "user.health": "health",
    "user.professional_information": "work",
    "user.settings": "preferences",
    "user.social_activity": "behavior",
}


def group(category: str | None) -> str:
    """Return the group of a category; `-` for None and for what is not about a user.

    Raises:
        ValueError: it is no key of a data category.

    """
    if category is None or category == UNKNOWN or category.split(".")[0] == "system":
        return "-"
    key = category
    while key:
        if found := GROUPS.get(key) or _NEWER.get(key):
            return found
        key = key.rpartition(".")[0]
    message = f"expected a fideslang data category, user.* or system.*, got {category!r}"
    raise ValueError(message)
