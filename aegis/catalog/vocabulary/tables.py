"""What tables are called, by what a row of them stands for; the words are concepts, in the singular."""

#: nature → the words that a table of it ends with, or begins with in languages that put the noun first.
HEADS = {
    "person": """
        user people person customer employee staff patient doctor physician nurse student teacher author
        subscriber visitor guest player driver rider passenger attendee participant respondent applicant
        candidate lead contact member resident volunteer donor learner instructor coach tutor guardian
        beneficiary worker contractor freelancer consumer shopper borrower prospect delegate speaker referee
        practitioner caregiver admin operator administrator superuser voter reviewer follower household
        parent prisoner inmate athlete actor individual collaborator assignee crew professor pupil alumni
        trainee invitee registrant claimant debtor lawyer judge therapist dentist supervisor artist
        influencer friend sibling provider_person personnel party insured cardholder signatory buyer
        sponsor_person stakeholder representative salesperson nominee spouse child dependent biographer
        persona viewer moderator professional
    """,
    "profile": """
        profile biography demographic persona userprofile userinfo userdata kin emergency_contact resume cv
        curriculum user_detail user_info customer_detail identity avatar
    """,
    "ambiguous": """
        account client partner agent owner seller entity tenant relative relation broker card subject
        referral affiliate creator team_member manager
    """,
    "contact": """
        address recipient addressbook location_address billing shipping residence domicile contact_mechanism
        contact_point contact_method contact_detail contact_info contact_channel telecom
    """,
    "identity": """
        identifier identification identity_document identity_card id_document id_card passport national_id
        identification_document
    """,
    "session": """
        session token credential authentication password passkey otp invitation invite verification reset
        activation recovery two_factor mfa webauthn authenticator sso nonce login_token refresh access_token
        secret authorization pat personal_token api_key ssh pgp confirmation remember magic_link
        identity_link
    """,
    "device": """
        device push installation browser handset smartphone fcm apn phone push_subscription devices_token
    """,
    "log": """
        log audit auditlog activity history trail access attempt login login_attempt event_log action_log
        log_entry changelog revision_log journal_log activities signin timeline versions_log action stream
    """,
    "content": """
        comment post message review ticket thread conversation reply mail_message chat note question answer
        testimonial complaint feedback memo status topic discussion tweet story forum_post inquiry enquiry
        letter transcript remark annotation guestbook shout wall issue attachment upload photo
        media_attachment pm idea suggestion correspondence toot statuses recipe poem bookmark comment_reply
        draft diary report_post flag interaction request_note sms private_message direct_message wiki
        article_comment media_object
    """,
    "order": """
        order booking reservation appointment invoice payment purchase sale cart basket checkout quote
        quotation transaction shipment delivery subscription donation refund enrollment_order rental trip
        ride claim contract_order receipt credit_memo wishlist consignment fulfillment parcel
        prescription_order loan membership_order visit_booking registration estimate return rma bid contract
    """,
    "payment": """
        credit_card bank_account payment_method payment_source payment_token payment_profile card_detail
        bank iban bank_detail stored_card mandate payout saved_card card payment_card
    """,
    "wallet": """
        wallet balance credit_account payroll payslip salary loyalty_account store_credit ledger_customer
        salary_slip
    """,
    "medical": """
        encounter diagnosis observation medication prescription allergy immunization vaccine vital condition
        procedure_patient admission treatment lab_result lab laboratory anamnesis symptom problem surgery
        specimen medical_record health_record patient_history radiology pathology pregnancy clinical medical
        health disease_patient health_data nutrition_diary chart_patient referral_medical history_data
        triage hospitalization discharge care_plan drug_patient ward_patient episode obs consultation
        anesthesia birth_certificate death_certificate hospitalisation
    """,
    "behaviour": """
        vote rating reaction like favorite view click grade submission progress score enrollment completion
        follow read_status participation answer_choice search_history result_student exam_result
        bookmark_view achievement_user game scrobble stat_user search_log wish upvote downvote poll_vote
        lesson_progress mark assessment tracking swipe conversion
    """,
    "activity": """
        visit attendance attempt quiz_attempt exam_attempt checkin pageview page_view hit watch play
        playback listen presence impression workout training exercise_log time_entry time_log timesheet
        work_log worklog viewing listening attempt_quiz session_visit attendance_employee measurement
        weight_entry lesson_attempt punch clocking
    """,
    "search": "search query search_query search_term search_log saved_search",
    "consent": """
        consent agreement opt_in opt_out unsubscribe newsletter terms_acceptance privacy_consent gdpr
        acceptance
    """,
    "mail": """
        mail email outbox inbox mail_queue email_log email_queue mail_log sent_email mail_message
        outgoing_email notification_email mailbox_message bounce maillog sms_log sms_queue mailout
    """,
    "callog": "call cdr call_log call_record call_detail phone_call",
    "settings": """
        user_setting user_preference user_meta usermeta preference user_option user_property user_config
        user_parameter customer_meta user_data user_attribute customer_setting member_setting
        account_setting profile_setting
    """,
    "form": """
        form_response response survey_response form_entry form_submission survey_answer submission_value
        answer_value form_answer entry_value field_value form_data questionnaire_response application_answer
    """,
    "employment": """
        employment leave payroll position_history absence leave_request salary_history job_history
        work_experience experience education qualification skill employee_skill certification career
        vacation time_off employee_history work_history dept_emp dept_manager appraisal shift
        job_application
    """,
    "vehicle": "vehicle car fleet plate",
    "organisation": """
        company organisation supplier merchant school university department team club agency office branch
        store shop clinic hospital facility institution publisher manufacturer brand institute bank employer
        practice chapter venue warehouse outlet library site business_unit pharmacy restaurant hotel airport
        airline workspace foundation laboratory_org dealer distributor carrier lab_org affiliate_network
        vendor provider sponsor
    """,
    "thing": """
        role permission right privilege group category tag type status setting config configuration option
        country currency language state city region province county zone unit product item catalog template
        page menu block widget plugin module extension migration schema job queue task project milestone
        board column list line detail variant attribute price discount coupon tax rate rule policy plan
        package feature step node tree link relation map mapping meta metadata property field form survey
        quiz exam course lesson chapter book title genre album movie film channel feed source file folder
        document_type asset image video audio media theme layout style color icon label translation
        message_template locale webhook integration application app service server instance host cluster
        database table report dashboard chart metric statistic stat summary count cache lock version release
        build pipeline stage workflow trigger campaign segment promotion voucher gift_card stock inventory
        inventory_item warehouse_stock shipment_method shipping_method delivery_method payment_type room
        seat resource calendar schedule slot holiday term semester period subject_area department_type badge
        award achievement level rank poll domain certificate environment variable parameter flag_type
        parameter_value dimension measure store_setting content_type sequence counter hierarchy taxonomy
        vocabulary collection archive announcement news banner ad advert slide faq help glossary definition
        format encoding method event meeting sprint epic component reference lookup code dictionary enum
        constant index constraint membership assignment role_user permission_user subscription_plan
        notification_type email_template newsletter_issue mailing_list article blog blog_category section
        forum snippet script macro filter view_definition bucket ingredient food meal dish part material
        supplier_product sku batch lot price_list tier commission_rule expense_type cost_center ledger
        journal account_type tax_rate exchange_rate bank_code holiday_calendar district neighborhood place
        point_of_interest route stop station flight vehicle_model make model engine grade_scale competition
        match season league tournament tag_group taggable scope redirect sitemap url_alias robot
        oauth_client oauth_application client_application scheduler cron worker_job process execution
        node_type instance_type disease symptom_type drug medicine_catalog procedure concept ward bed
        specialty test lab_test test_type questionnaire question_type question_option quiz_question
        option_value category_translation document recording picture
    """,
}
#: Words before the head that make a table one of the application: an OAuth client is no person.
SYSTEM = """
    oauth oidc saml system config schema django alembic liquibase flyway celery knex ar sqlite pg cron
    migration content_type admin_log_type server cluster plugin module template build ci pipeline repo
    repository webhook integration package deploy docker kubernetes terraform default ui
"""
#: Words before the head that say whose a row is.
COMPANY = """
    company organisation supplier vendor merchant store shop site warehouse branch office school clinic
    hospital bank publisher brand manufacturer
"""
