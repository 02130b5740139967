"""Money, health and work. A line: category | families | where | strength | phrases."""

RULES = """
user.financial.bank_account | code | any | 90 |
    iban, bank account, bank account number, account iban, routing number, sort code, account holder,
    account holder name, bank account holder, bank code, bic, bank bic, swift code, bank swift, bank account
    name, bank routing number, direct debit mandate, sepa mandate, mandate reference, cuenta bank, clabe,
    ifsc, ifsc code, iban number, bank account iban, account holder address, bsb, bank account owner, bank
    details, sepa iban, bank account type, debit mandate, upi id, payee account, bank ifsc, account
    beneficiary
user.financial.bank_account | code | person+order+employment+payment | 80 |
    bank name, bank, account number, account name, bank branch, bank branch name, branch name, account type
    bank, swift, swift number, bank country, mandate id, account owner, bank address, bank info, bank city,
    check number, payee name, account, cheque number
user.financial.credit_card | code | any | 92 |
    credit card, card number, credit card number, card holder, card holder name, cc number, cvv, cvc, card
    last, card expiry, card expiration, card exp month, card exp year, card last four, card brand, card type
    credit, cc owner, cc last, cc type, cc exp month, cc exp year, card fingerprint, card token, pan number
    card, card name, card security code, masked card, card mask, cc expires, card country, card month, card
    year, card digits, card bin, credit card type, credit card last, cc name, card owner, card code, card
    issuer, card expires, cc number enc, cc expiration, cc holder, debit card, masked number, last digits,
    last four digits, card four, cc issuer, card pan, card exp, card expiry month, card expiry year, debit
    card number, credit card expiry, cc cid, cc month, cc year, cc ss issue, cc ss start month, card expire,
    credit card name, credit card holder
user.financial.credit_card | code | payment | 80 |
    last four, last, brand, exp month, exp year, expiry month, expiry year, expiration month, expiration
    year, fingerprint, pan, holder name, name on card, expiry, card, expiration date, month, year, first
    six, bin, gateway card id, masked pan, funding
user.financial | code | any | 85 |
    salary, income, annual income, hourly rate employee, pay rate, credit limit, base salary, monthly
    income, net salary, gross salary, account balance, customer balance, credit score, wage, annual salary,
    basic salary, salary amount, salary grade, bonus employee, salary currency, household income, net worth,
    gross pay, net pay, income source, source income, debt, income tax amount, family income, payroll
    amount, expected salary, current salary, hourly wage, salary min expected, salary slip, rate pay,
    pension
user.financial | code | person+employment+wallet | 80 |
    balance, credit, wallet balance, hourly rate, bonus, debt, amount due, compensation, pay, rate,
    outstanding, earnings, allowance, credits, wallet, paid, gross, net, commission, commission rate,
    overtime rate, total spent, lifetime value, amount owed, opening balance, outstanding balance, credit
    balance, store credit, deductions, deduction, hourly cost, cost rate, payroll, salary structure,
    revenue, fee balance, amount spent, total paid, tax bracket, loan, loyalty points balance, balance
    amount, current balance, billable rate, debit, owed
user.payment | code | any | 85 |
    stripe customer, stripe customer id, paypal email, paypal payer id, payer id, braintree customer id,
    payer email, paypal account, stripe account id customer, customer token payment, gateway customer,
    payment customer id, stripe id, payment profile id, paypal id, stripe source id, braintree id, paddle
    customer id, gateway customer id, gateway customer profile id, chargebee customer id, customer profile
    id, square customer id, payment token customer, payer, payer name, payer account, payer address, payer
    phone, buyer email, buyer id payment, payment customer, processor customer id, external customer id,
    stripe payment method id, mollie customer id, razorpay customer id, klarna id, card id stripe, stripe
    customer token, paypal payer, billing agreement, billing agreement id, payment method token, gateway
    payment profile id, billing customer id, payoneer, paypal
user.health_and_medical | value | any | 92 |
    diagnosis, diagnosis code, icd, icd code, diagnoses, primary diagnosis, secondary diagnosis, admission
    diagnosis, diagnosis text, differential diagnosis, diagnosis date, discharge diagnosis, provisional
    diagnosis, final diagnosis, snomed code, diagnosis description
user.health_and_medical | value | any | 88 |
    medication, medication name, current medication, drug name, dosage, dose, drug, medication dosage, dose
    unit, medication list, dose amount, drug code, medication code, strength dose, dosing, frequency dose,
    dose frequency
user.health_and_medical | value | any | 88 |
    prescription, prescription text, prescription number, rx norm, prescribed, sig, prescription date
user.health_and_medical | value | any | 85 |
    disease, illness, medical condition, chronic condition, health condition, health status, symptom,
    symptoms, allergy, allergen, allergies, disability, medical history, pregnancy, pregnant, hiv
    status, hiv, covid, infection, vaccine, vaccinated, vaccination status, blood group, blood type, blood
    pressure, heart rate, pulse, temperature body, body temperature, glucose, cholesterol, bmi, oxygen
    saturation, respiratory rate, family history, surgical history, smoker, smoking, smoking status,
    alcohol, alcohol use, tobacco, tobacco use, drug use, dietary restriction, diet, health note, medical
    note, disability type, special needs, injury, health problem, body weight, body height, body fat,
    clinical note, clinical status, chief complaint, history present illness, anamnesis, anamnese, finding,
    blood sugar, systolic, diastolic, blood glucose, immunization, immunity, is pregnant, rhesus, bps, bpd,
    waist circumference, head circumference, exercise patterns, sleep patterns, coffee, recreational drugs,
    gestational age, gravida, cancer, diabetes, hypertension, asthma, health, health information, medical
    information, comorbidity, dietary requirement, food allergy, dietary preference, dietary, mental health,
    disabilities, calories, heart rate average, sleep, steps count, medical comment
user.health_and_medical | value | person+medical | 85 |
    temperature, condition, respiration, respiratory, body, vital, vitals, onset, reaction, fitness, diet
    type, eyesight, waist, hip, body type, goal weight, target weight
user.health_and_medical | value | any | 85 |
    treatment, therapy, treatment plan, surgery, procedure code, cpt code, surgical procedure, care plan,
    rehabilitation, hospitalization, admission reason, discharge summary, treatment note, treatment type,
    medical procedure
user.health_and_medical.record_id | code | any | 90 |
    medical record number, patient number, hospital number, health record, chart number, patient identifier,
    medical record, accession number, mrn, patient id number, specimen id, sample id patient, specimen
    number, case number patient, medical id, health id, nhs number, hospital id, medical number, file number
    patient
user.health_and_medical.record_id | code | medical | 80 |
    accession number, specimen, barcode, sample, identifier, case number, order number, lab number,
    admission number, bed number, registration number, sample id, visit number, encounter number, barcode
    number
user.health_and_medical.insurance_beneficiary_id | code | any | 88 |
    health insurance, insurance number, insurance policy number, insurance member id, insurance id, medicare
    number, medicaid number, policy number insurance, subscriber id insurance, health insurance number,
    health card number, insurance group number, insured number, medicare, medicaid, insurance company
    patient, insurance provider, medicare id, insurance card
user.health_and_medical.insurance_beneficiary_id | code | medical+person | 75 |
    policy number, group number, insurer, insurance, plan name, insurance company, subscriber relationship,
    copay, policy type, insurance plan
user.health_and_medical | any | any | 85 |
    lab result, test result medical, lab value, result lab, genome, dna, genetic, blood, medical data,
    health data
user.job_title | value | any | 88 |
    job title, occupation, job position, job role, designation, employee title, employee position, business
    title, position title, current position, job function, job description person, professional title, work
    title, post title employee, author title, job
user.job_title | value | person+employment | 80 |
    title, position, role title, job, rank, position id, profession, function, job id, designation id,
    seniority, career, grade, occupation id, headline, post, job level, position name, job category,
    employee type, employment type, job type, role name, job code, responsibilities, responsibility,
    contract type, duties
user.workplace | value | any | 85 |
    employer, employer name, workplace, affiliation, employee department, company name contact, work place,
    institution affiliation, place work, author affiliation, employer id, place of employment, current
    employer
user.workplace | value | person+contact+order+employment | 78 |
    company, company name, organisation, organisation name, department, department name, institution,
    affiliation, office, business name, department id, division, team name, unit name, work unit, branch,
    faculty, business unit, institute, office location, work location, subsidiary, cost center, division
    name, section, school name, laboratory, lab, trading name, department code, subunit, contact company,
    corporate name, company legal name
user.workplace | any | any | 85 |
    hire date, hired at, hired on, joining date, date joining, date joined company, employment date,
    termination date, employment status, start date employment, years experience, work experience,
    experience years, resume, resume file, cover letter, curriculum vitae, curriculum, qualification, notice
    period, contract end date, probation end, retirement date, resignation date, relieving date, leave
    balance, leave type, employee status, seniority date, leave reason, resignation letter, confirmation
    date employee, date retirement, employment end date, employment start date, employment type, appraisal,
    performance review, performance rating, candidate rating, skill level, work history, reason leaving,
    separation date, hire, last day work, termination reason, rehire, exit interview, resume url, resume
    text, resume link, performance score, resignation, contract start, experience summary, professional
    experience, cv url, cv file
user.workplace | any | person+employment | 80 |
    skill, skills, experience, specialty, speciality, specialization, specialisation, license number,
    contract, contract date, leave, certification, certificate, expertise, work hours, working hours, shift,
    contract start date, contract end date, hours per week, status employment, absence, attendance,
    vacation, medical license, registration number, licence number, work schedule, employment, work email
    signature, languages known, skill name, license, field work, npi, taxonomy, dea number, probation,
    training, qualifications, education, availability
user.workplace | any | employment | 80 |
    start date, end date, days, from date, to date, from, to, department start, date start, date end, length
    days, length hours, notice, leave days, duration days, leave date, cover, number days
user.financial | code | wallet+employment | 80 |
    amount, total, value, net amount, points, accrued
user.health_and_medical | value | person+medical+owned+activity | 85 |
    weight, height, body fat, calories, sleep hours, sport hours, work hours sleep, fat
user.health_and_medical | value | medical | 85 |
    severity, disabled
"""
