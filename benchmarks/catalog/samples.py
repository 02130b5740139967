"""Which tables of an application are labelled: some drawn, some chosen. RULES.md says why."""

import random
from dataclasses import dataclass
from typing import Final

from benchmarks.catalog.schemas import Schema

SEED: Final = 20261128

#: Application → how many of its tables are drawn; an application that is not here is labelled whole.
RANDOM: Final[dict[str, int]] = {
    "ghost": 20,
    "gnuhealth": 30,
    "indico": 30,
    "kolibri": 20,
    "mediawiki": 22,
    "pretalx": 20,
    "rt": 15,
    "wger": 20,
}

#: Application → tables in which persons are the matter.
CHOSEN: Final[dict[str, str]] = {
    "ghost": (
        "actions brute comments donation_payment_events email_batches email_recipients members "
        "members_click_events members_email_change_events members_feedback members_login_events "
        "members_newsletters members_status_events members_stripe_customers "
        "members_stripe_customers_subscriptions members_subscribe_events post_revisions posts "
        "sessions subscriptions suppressions temp_mail_events users"
    ),
    "gnuhealth": (
        "account_invoice company_employee gnuhealth_appointment gnuhealth_birth_certificate "
        "gnuhealth_death_certificate gnuhealth_du gnuhealth_family_member "
        "gnuhealth_healthprofessional gnuhealth_inpatient_registration gnuhealth_insurance "
        "gnuhealth_patient gnuhealth_patient_lab_test "
        "gnuhealth_patient_medication gnuhealth_person_alternative_identification "
        "gnuhealth_person_name gnuhealth_prescription_order gnuhealth_ses_assessment "
        "gnuhealth_vaccination ir_avatar ir_email ir_note ir_session party_address "
        "party_contact_mechanism party_identifier party_party res_user res_user_application "
        "res_user_device res_user_login_attempt"
    ),
    "indico": (
        "categories.logs event_abstracts.abstract_comments event_abstracts.abstract_person_links "
        "event_abstracts.abstract_reviews event_abstracts.abstracts event_paper_reviewing.reviews "
        "event_registration.invitations event_registration.registration_data "
        "event_registration.registrations event_surveys.submissions events.agreements "
        "events.contribution_person_links events.logs events.payment_transactions events.persons "
        "events.static_list_links indico.affiliations oauth.application_user_links "
        "roombooking.blockings roombooking.rooms users.api_keys users.emails users.identities "
        "users.registration_requests users.settings users.tokens users.users"
    ),
    "kolibri": (
        "attendance_attendancerecord attendance_attendancesession bookmarks_bookmark "
        "device_devicepermissions device_learnerdevicestatus device_usersyncstatus "
        "discovery_networklocation exams_exam jobs kolibriauth_facilityuser kolibriauth_membership "
        "lessons_lesson logger_contentsessionlog logger_contentsummarylog logger_examlog "
        "logger_masterylog logger_usersessionlog morango_store morango_syncsession "
        "notifications_learnerprogressnotification"
    ),
    "mediawiki": (
        "archive bot_passwords filearchive ip_changes ipblocks oldimage page protected_titles "
        "recentchanges revision text user user_former_groups user_newtalk user_properties watchlist"
    ),
    "pretalx": (
        "common_activitylog django_session event_team event_team_members event_teaminvite "
        "mail_queuedmail mail_queuedmail_to_users person_user schedule_availability "
        "submission_answer submission_resource submission_speakerrole submission_submission "
        "submission_submissionfavourite submission_submitteraccesscode"
    ),
    "rt": ("Assets Attributes AuthTokens CachedGroupMembers GroupMembers Transactions"),
    "wger": (
        "actstream_action auth_user authtoken_token core_usercache core_userprofile django_session "
        "exercises_exerciseimage exercises_historicalexercise gallery_image gym_adminusernote "
        "mailer_cronentry mailer_log manager_workout manager_workoutsession measurements_category "
        "nutrition_logitem weight_weightentry"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The labelled tables of an application."""

    #: A fair picture of the schema.
    drawn: frozenset[str]
    #: Not drawn; more of them are personal.
    chosen: frozenset[str]


def sample(schema: Schema) -> Sample:
    """Return the tables that are labelled, always the same ones."""
    names = sorted(schema.tables)
    size = RANDOM.get(schema.application, len(names))
    drawn = frozenset(random.Random(SEED).sample(names, size))  # noqa: S311 - a sample, no secret
    return Sample(drawn=drawn, chosen=frozenset(CHOSEN.get(schema.application, "").split()) - drawn)
