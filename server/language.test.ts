import { expect, it } from 'vitest'
import { languageOf } from './language.ts'

it.each([
  ['en', 'Led the team of nine and wrote the reports for all of the clinics'],
  ['de', 'Leitung der Gruppe und Aufbau des Lagers für die Kunden mit einem neuen System'],
  ['fr', 'Direction de l’équipe et mise en place des outils pour les clients dans le sud'],
  ['vi', 'Xây dựng hệ thống cho các ngân hàng và quản lý nhóm của công ty với khách hàng'],
  ['ru', 'Сократила расчёт с шести часов и ввела новые правила'],
  ['uk', 'Зібрала реєстр маршрутів, їхній ґатунок перевірено'],
  ['bg', 'Ръководство на екип за обработка на данни в България'],
  ['el', 'Σχεδίασα τη ροή μετρήσεων σε Kafka και ClickHouse'],
  ['hy', 'Ծրագրավորող Երևանից'],
  ['en', 'SQL, Python'],
  ['en', ''],
])('sees %s in “%s”', (language, text) => {
  expect(languageOf(text)).toBe(language)
})
